"""A weight that moves in backward goes the way of one that `optimizer.step()` moves."""

import copy
import pickle
import subprocess
import sys
from dataclasses import dataclass

import pytest
import torch
from torch.optim import SGD, Adam, AdamW
from torch.optim.optimizer import register_optimizer_step_pre_hook

import gonio
from gonio import losses
from gonio.engines import Chunked, Reference

DIM, CLASSES, BATCH = 6, 11, 9


class Training:
    """A backbone, a head and an optimizer of both."""

    def __init__(self, make=None, *, loss="arcface", attach=True, **keywords):
        torch.manual_seed(1)
        more = {
            "backend": Chunked(4),
            "dtype": torch.float64,
            "class_counts": torch.arange(1, CLASSES + 1),
        }
        self.head = gonio.Head(DIM, CLASSES, loss=loss, **more | keywords)
        self.backbone = torch.nn.Linear(DIM, DIM).double()
        make = make or (lambda parameters: SGD(parameters, lr=0.1, momentum=0.9))
        self.optimizer = make([*self.backbone.parameters(), *self.head.parameters()])
        if attach:
            self.head.attach_optimizer(self.optimizer)

    def batch(self, step=0):
        """Few classes, so that some come several times."""
        random = torch.Generator().manual_seed(step)
        x = torch.randn(BATCH, DIM, dtype=torch.float64, generator=random)
        return x, torch.randint(0, CLASSES // 2, (BATCH,), generator=random)

    def loss(self, step=0):
        x, labels = self.batch(step)
        return self.head(self.backbone(x), labels)

    def run(self, steps=3, first=0):
        for step in range(first, first + steps):
            loss = self.loss(step)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        return self

    def parts(self):
        return self.head, self.backbone, self.optimizer

    def state(self):
        return copy.deepcopy([part.state_dict() for part in self.parts()])

    def load(self, state):
        for part, saved in zip(self.parts(), state, strict=True):
            part.load_state_dict(saved)


def assert_same(a, b):
    # the arithmetic is the same, but a vector register may end elsewhere in a tile than in the whole
    found, expected = a.state(), b.state()
    assert found[2].pop("param_groups") == expected[2].pop("param_groups")
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def assert_trains_alike(*args, **keywords):
    assert_same(Training(*args, **keywords).run(), Training(*args, attach=False, **keywords).run())


OPTIMIZERS = {
    "sgd": lambda p: SGD(p, lr=0.1),
    "decay": lambda p: SGD(p, lr=0.1, weight_decay=0.1),
    "momentum": lambda p: SGD(p, lr=0.1, momentum=0.9),
    "dampening": lambda p: SGD(p, lr=0.1, momentum=0.9, dampening=0.3, weight_decay=0.1),
    "nesterov": lambda p: SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    "maximize": lambda p: SGD(p, lr=0.01, momentum=0.9, maximize=True),
    "foreach": lambda p: SGD(p, lr=0.1, momentum=0.9, foreach=True),
    "fused": lambda p: SGD(p, lr=0.1, momentum=0.9, fused=True),
    "tensor lr": lambda p: SGD(p, lr=torch.tensor(0.1, dtype=torch.float64), momentum=0.9),
    "adamw": lambda p: AdamW(p, lr=0.01),
    "amsgrad": lambda p: AdamW(p, lr=0.01, amsgrad=True, maximize=True),
    "adamw foreach": lambda p: AdamW(p, lr=0.01, foreach=True),
    "adamw fused": lambda p: AdamW(p, lr=0.01, fused=True),
    "adam": lambda p: Adam(p, lr=0.01, weight_decay=0.1, amsgrad=True),
}


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_every_optimizer_goes_its_own_way(make):
    assert_trains_alike(make)


@pytest.mark.parametrize("tile", [1, 7, CLASSES + 1])
@pytest.mark.parametrize("mode", ["stash", "recompute"])
@pytest.mark.parametrize("loss", ["softmax", "sub-center-arcface"])
def test_tiles_and_modes_change_nothing(tile, mode, loss):
    make = OPTIMIZERS["amsgrad"]
    assert_trains_alike(make, loss=loss, backend=Chunked(tile, mode=mode))


IN_SEVERAL_PASSES = {"npcface", "regularface", "sphereface-plus", "uniformface"}


@pytest.mark.parametrize("name", losses.names())
def test_every_row_trains_alike_or_is_refused(name):
    pairing = losses.get(name).loss().pairing
    if name in IN_SEVERAL_PASSES:
        with pytest.raises(ValueError, match=r"loss: the gradient .* comes in 2 passes"):
            Training(loss=name)
    elif pairing.against != "classes":
        with pytest.raises(ValueError, match=f"loss: it compares .*{pairing.against}"):
            Training(loss=name)
    else:
        assert_trains_alike(loss=name)


def test_a_second_pass_without_a_gradient_is_none():
    assert_trains_alike(loss=losses.npcface(gradient="detached"))
    assert_trains_alike(loss=losses.adacos(mode="dynamic"))


@dataclass(frozen=True)
class TargetAlone:
    """A penalty that never looks at the negatives."""

    def __call__(self, pool, target):
        return -target


def test_classes_that_no_sample_pushes_still_decay():
    loss = gonio.loss.Loss(scale=gonio.rules.Fixed(4.0), penalty=TargetAlone())
    assert_trains_alike(OPTIMIZERS["dampening"], loss=loss)


def test_a_row_without_a_gradient_decays_and_keeps_its_momentum_once_a_step():
    """By hand: no sample pushes the classes from 5 on."""
    loss = gonio.loss.Loss(scale=gonio.rules.Fixed(4.0), penalty=TargetAlone())
    training = Training(lambda p: SGD(p, lr=0.1, momentum=0.9, weight_decay=0.5), loss=loss)
    w = training.head.weight.detach()[5:].clone()
    m = torch.zeros_like(w)
    for _ in range(3):
        m = 0.9 * m + 0.5 * w
        w = w - 0.1 * m
    torch.testing.assert_close(training.run(3).head.weight.detach()[5:], w)


@pytest.mark.parametrize("tile", [1, 4, CLASSES])
def test_a_step_of_adam_is_one_however_many_tiles_it_has(tile):
    """By hand: its means are divided by 1 - beta^3 at the third step, as they are over three gradients."""
    training = Training(lambda p: Adam(p, lr=0.01, eps=0.0), backend=Chunked(tile)).run(2)
    before = training.head.weight.detach().clone()
    training.run(1, 2)
    state = training.optimizer.state[training.head.weight]
    mean, square = state["exp_avg"] / (1 - 0.9**3), state["exp_avg_sq"] / (1 - 0.999**3)
    torch.testing.assert_close(training.head.weight.detach(), before - 0.01 * mean / square.sqrt())
    assert state["step"] == 3


class Several(Training):
    """Three labels for each sample, some twice and some without mass."""

    def loss(self, step=0):
        x, _ = self.batch(step)
        random = torch.Generator().manual_seed(step)
        labels = torch.randint(3, CLASSES, (BATCH, 3), generator=random)
        mass = torch.tensor([[0.5, 0.5, 0.0], [0.2, 0.7, 0.1], [1.0, 0.0, 0.0]]).repeat(3, 1)
        return self.head(self.backbone(x), labels, label_mass=mass)


def test_several_labels():
    for keywords in ({}, {"loss": losses.sub_center_arcface(centers=2), "label_smoothing": 0.1}):
        attached, ordinary = (Several(attach=on, **keywords).run() for on in (True, False))
        assert_same(attached, ordinary)


@pytest.mark.parametrize("loss", ["cosface", losses.normface(scale="learned"), "softmax"])
def test_smoothing_and_what_is_learned_beside_the_weight(loss):
    assert_trains_alike(loss=loss, label_smoothing=0.1)


def test_smoothing_of_weighted_classes_is_refused_before_anything_moves():
    weight = torch.arange(1.0, CLASSES + 1)
    assert_trains_alike(loss="softmax", class_weight=weight)
    training = Training(loss="softmax", class_weight=weight, label_smoothing=0.1)
    before = training.head.weight.detach().clone()
    with pytest.raises(ValueError, match=r"label_smoothing: with class_weight .*attach_optimizer"):
        training.loss()
    assert torch.equal(training.head.weight, before)


@dataclass(frozen=True)
class ReadsCenters:
    """A term with a gradient in the own class weights, beside that of their scores."""

    def __call__(self, facts):
        return (facts.centers[:, 0] * torch.arange(1, DIM + 1)).sum(dim=1)


@pytest.mark.parametrize("tile", [4, CLASSES])
def test_a_term_that_reads_class_weights(tile):
    loss = gonio.Loss(scale=gonio.rules.Fixed(4.0), terms=(ReadsCenters(), ReadsCenters()))
    assert_trains_alike(loss=loss, backend=Chunked(tile))


@pytest.mark.parametrize("ignored", [2, 0, 99])
def test_ignored_rows(ignored):
    assert_trains_alike(loss="arcface", ignore_index=ignored)


@pytest.mark.parametrize("label", [0, CLASSES - 1])
def test_a_batch_of_one_class_and_an_empty_one(label):
    found = []
    for attach in (True, False):
        training = Training(OPTIMIZERS["adamw"], attach=attach)
        for size in (BATCH, 0, BATCH):
            training.optimizer.zero_grad()
            x, labels = training.batch()[0][:size], torch.full((size,), label)
            training.head(training.backbone(x), labels).backward()
            training.optimizer.step()
        found.append(training)
    assert_same(*found)


def test_a_weight_in_half_precision():
    trained = []
    for attach in (True, False):
        training = Training(attach=attach, dtype=torch.bfloat16)
        training.backbone.float()
        for step in range(3):
            x, labels = training.batch(step)
            training.optimizer.zero_grad()
            training.head(training.backbone(x.float()).bfloat16(), labels).backward()
            training.optimizer.step()
        trained.append(training.head.weight)
    # at the end of a vector torch rounds its factors to 8 bits too, and a tile ends elsewhere
    torch.testing.assert_close(*trained, rtol=2**-6, atol=2**-6)


def test_auto_is_chunked_and_precision_is_kept():
    assert_trains_alike(backend="auto")
    ordinary = Training(attach=False, backend=Chunked(4, precision="bf16")).run()
    assert_same(Training(backend=Chunked(4, precision="bf16")).run(), ordinary)


def test_the_settings_are_those_of_its_group_at_each_step():
    def made(attach):
        def make(parameters):
            *rest, weight = parameters
            head = {"params": [("weight", weight)], "momentum": 0.5, "lr": 0.3}
            named = [(str(i), parameter) for i, parameter in enumerate(rest)]
            return SGD([{"params": named}, head], lr=0.1, momentum=0.9)

        training = Training(make, attach=attach)
        scheduler = torch.optim.lr_scheduler.StepLR(training.optimizer, 2, gamma=0.1)
        for step in range(5):
            training.run(1, step)
            scheduler.step()
        return training

    assert_same(made(True), made(False))


@pytest.mark.parametrize("make", [OPTIMIZERS["dampening"], OPTIMIZERS["amsgrad"]])
def test_checkpoints_and_switching_mid_training(make):
    ordinary = Training(make, attach=False).run(6)
    attached = Training(make).run(2)
    resumed = Training(make, attach=False)
    resumed.load(attached.state())
    resumed.run(2, 2)
    resumed.optimizer.zero_grad()
    resumed.head.attach_optimizer(resumed.optimizer)
    assert_same(resumed.run(2, 4), ordinary)

    attached.head.detach_optimizer()
    attached.run(2, 2)
    attached.optimizer.zero_grad()
    attached.head.attach_optimizer(attached.optimizer)
    attached.head.attach_optimizer(attached.optimizer)
    assert_same(attached.run(2, 4), ordinary)


def test_an_optimizer_that_is_loaded_while_attached():
    other = Training()
    other.load(Training().run(2).state())
    assert_same(other.run(2, 2), Training(attach=False).run(4))


def test_a_copy_is_not_attached():
    training = Training()
    training.loss().backward()
    for head in (copy.deepcopy(training.head), pickle.loads(pickle.dumps(training.head))):
        assert torch.equal(head.weight, training.head.weight)
        before = head.weight.detach().clone()
        x, labels = training.batch()
        head(x, labels).backward()
        assert torch.equal(head.weight, before)
        assert head.weight.grad.any()
    assert "Head(" in repr(training.head)


def test_without_gradients_and_in_eval_mode_nothing_moves():
    training = Training()
    before = training.state()[0]
    with torch.no_grad():
        training.loss()
    training.head.eval()
    training.loss().backward()
    assert training.head.weight.grad.any()
    assert torch.equal(training.head.weight, before["weight"])
    training.head.train()
    training.optimizer.zero_grad()
    training.head.weight.requires_grad_(False)
    training.loss().backward()
    assert training.head.weight.grad is None
    assert torch.equal(training.head.weight, before["weight"])


def test_the_gradient_of_the_embeddings_alone_leaves_the_weight():
    training, ordinary = Training(), Training(attach=False)
    before = training.head.weight.detach().clone()
    found = []
    for one in (training, ordinary):
        x, labels = one.batch()
        x.requires_grad_()
        loss = one.head(one.backbone(x), labels)
        found += torch.autograd.grad(loss, x, retain_graph=True)
        assert torch.equal(one.head.weight, before)
        loss.backward()
        one.optimizer.step()
    torch.testing.assert_close(*found, rtol=1e-12, atol=1e-12)
    assert_same(training, ordinary)


def test_nobodys_hooks_see_the_tiles():
    seen = []
    handle = register_optimizer_step_pre_hook(lambda optimizer, *_: seen.append(optimizer))
    training = Training().run(2)
    handle.remove()
    assert seen == [training.optimizer] * 2


def test_other_graphs_notice_that_the_weight_moved():
    training = Training()
    scores = training.batch()[0].requires_grad_() @ training.head.weight.T
    training.run(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        scores.sum().backward()


# torch looks at the .grad of what it compiles, and warns of that
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
def test_a_compiled_head():
    trained = []
    for attach in (True, False):
        training = Training(attach=attach)
        compiled = torch.compile(training.head, backend="eager") if attach else training.head
        for step in range(3):
            training.optimizer.zero_grad()
            compiled(*training.batch(step)).backward()
            training.optimizer.step()
        trained.append(training)
    assert_same(*trained)


class Own(SGD):
    pass


def forgets(parameters):
    return SGD(parameters[:2], lr=0.1)


@pytest.mark.parametrize(
    ("make", "keywords", "error", "words"),
    [
        (forgets, {}, ValueError, r"optimizer: head.weight .* head.parameters\(\)"),
        (lambda p: torch.optim.RMSprop(p), {}, TypeError, r"optimizer: got RMSprop; .*SGD"),
        (Own, {}, TypeError, "optimizer: got Own"),
        (lambda p: SGD(p, differentiable=True), {}, ValueError, "differentiable=False"),
        (lambda p: Adam(p, capturable=True), {}, ValueError, "capturable=False"),
        (SGD, {"dtype": torch.float16}, TypeError, "head.weight: got float16.*bfloat16"),
        (SGD, {"backend": "reference"}, ValueError, r"backend: Reference\(\) .*'chunked'"),
        (SGD, {"backend": Reference()}, ValueError, "backend: .*'chunked'"),
    ],
)
def test_what_cannot_be_attached_is_named(make, keywords, error, words):
    training = Training(make, attach=False, **keywords)
    with pytest.raises(error, match=words):
        training.head.attach_optimizer(training.optimizer)


HOOKS = {
    "hook": lambda weight: weight.register_hook(lambda gradient: gradient),
    "post-accumulate hook": lambda weight: weight.register_post_accumulate_grad_hook(print),
}


@pytest.mark.parametrize("register", HOOKS.values(), ids=HOOKS)
def test_a_hook_on_the_gradient_is_refused_when_attached_and_in_backward(register):
    training = Training(attach=False)
    handle = register(training.head.weight)
    with pytest.raises(ValueError, match=r"head.weight: it has a hook .*attach_optimizer"):
        training.head.attach_optimizer(training.optimizer)
    handle.remove()
    training.head.attach_optimizer(training.optimizer)
    before = training.head.weight.detach().clone()
    handle = register(training.head.weight)
    with pytest.raises(RuntimeError, match=r"head.weight: it has a hook .*attach_optimizer"):
        training.loss().backward()
    assert torch.equal(training.head.weight, before)
    handle.remove()
    ordinary = Training(attach=False).run().head.weight
    torch.testing.assert_close(training.run().head.weight, ordinary)


def test_after_a_refusal_all_is_as_before():
    training = Training()
    with pytest.raises(TypeError):
        training.head.attach_optimizer(Own(training.head.parameters()))
    assert_same(training.run(), Training(attach=False).run())


def test_a_gradient_that_is_there_is_named():
    training = Training(attach=False).run(1)
    training.optimizer.zero_grad(set_to_none=False)
    with pytest.raises(ValueError, match="set_to_none=True"):
        training.head.attach_optimizer(training.optimizer)


GONE = r"head.weight: its gradient was applied in backward .* head.detach_optimizer\(\)"


def scaled(act):
    def run(training):
        scaler = torch.amp.GradScaler("cpu")
        scaler.scale(torch.zeros(()))
        getattr(scaler, act)(training.optimizer)

    return run


@pytest.mark.parametrize(
    "act",
    [
        lambda t: torch.nn.utils.clip_grad_norm_(t.head.parameters(), 1.0),
        lambda t: torch.nn.utils.clip_grad_norm_(t.head.parameters(), 1.0, foreach=False),
        lambda t: torch.nn.utils.clip_grad_value_(t.head.parameters(), 1.0),
        scaled("unscale_"),
        scaled("step"),
        lambda t: t.head.weight.grad.norm(),
        lambda t: t.head.weight.grad + 1,
        lambda t: t.head.weight.grad.clone(),
        lambda t: t.head.weight.square().sum().backward(),
        lambda t: SGD(t.head.parameters(), lr=1.0).step(),
        lambda t: torch.autograd.grad(t.loss(), t.head.weight),
    ],
)
def test_what_needs_the_gradient_is_refused_there(act):
    training = Training(OPTIMIZERS["momentum"])
    training.loss().backward()
    after = training.head.weight.detach().clone()
    with pytest.raises(RuntimeError, match=GONE):
        act(training)
    assert torch.equal(training.head.weight, after)


def test_a_closure_is_refused():
    training = Training()

    def closure():
        training.optimizer.zero_grad()
        loss = training.loss()
        loss.backward()
        return loss

    with pytest.raises(RuntimeError, match=GONE):
        training.optimizer.step(closure)


def test_a_second_use_of_the_weight_in_the_loss_is_refused():
    training = Training()
    with pytest.raises(RuntimeError, match=GONE):
        (training.loss() + training.head.weight.sum()).backward()


@pytest.mark.parametrize("foreach", [False, True])
def test_what_is_left_of_the_gradient_goes_away_by_itself(foreach):
    training = Training(lambda p: SGD(p, lr=0.1, foreach=foreach))
    for set_to_none in (False, True):
        training.loss().backward()
        assert "Applied" in repr(training.head.weight.grad)
        training.optimizer.zero_grad(set_to_none=set_to_none)
        training.head.zero_grad(set_to_none=set_to_none)
        after = training.head.weight.detach().clone()
        training.optimizer.step()
        assert training.head.weight.grad is None
        assert torch.equal(training.head.weight, after)
    training.loss().backward()
    training.head.detach_optimizer()
    assert training.head.weight.grad is None


def test_another_optimizer_takes_over():
    training = Training()
    training.head.attach_optimizer(SGD(training.head.parameters(), lr=0.1))
    training.loss().backward()
    with pytest.raises(RuntimeError, match=GONE):
        training.optimizer.step()


def test_another_weight_is_named():
    training = Training()
    training.head.weight = torch.nn.Parameter(training.head.weight.detach().clone())
    with pytest.raises(RuntimeError, match=r"head.weight: it is another tensor"):
        training.loss()


def test_accumulation_is_refused():
    training = Training()
    training.loss(0).backward()
    with pytest.raises(RuntimeError, match=r"head.weight: .*cannot accumulate"):
        training.loss(1).backward()
    training.optimizer.step()
    training.head.eval()
    training.loss(1).backward()
    training.head.train()
    with pytest.raises(RuntimeError, match=r"head.weight: .*cannot accumulate"):
        training.loss(1).backward()


def test_one_backward_for_each_forward():
    training = Training()
    first, second = training.loss(0), training.loss(1)
    second.backward(retain_graph=True)
    training.optimizer.step()
    after = training.head.weight.detach().clone()
    for loss in (first, second):
        with pytest.raises(RuntimeError, match=r"head.weight: .*one backward for each forward"):
            loss.backward()
    assert torch.equal(training.head.weight, after)
    with pytest.raises(RuntimeError, match=r"head.weight: .*one backward for each forward"):
        (training.loss(0) + training.loss(1)).backward()
    training.optimizer.zero_grad()
    waiting = training.loss(2)
    training.head.detach_optimizer()
    with pytest.raises(RuntimeError, match=r"head.weight: "):
        waiting.backward()


def test_float16_is_refused():
    training = Training(dtype=torch.float32)
    x, labels = training.batch()
    with pytest.raises(TypeError, match=r"embeddings: float16 .*GradScaler"):
        training.head(x.half(), labels)
    autocast = torch.autocast("cpu", dtype=torch.float16)
    with autocast, pytest.raises(TypeError, match=r"embeddings: float16 .*GradScaler"):
        training.head(x.float(), labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        training.head(x.bfloat16().requires_grad_(), labels).backward()
    training.optimizer.zero_grad()
    training.head.half()
    with pytest.raises(TypeError, match=r"head.weight: got float16"):
        training.head(x.float(), labels)


RANKS = """
import gonio, torch, torch.distributed as dist
from torch.testing._internal.distributed.fake_pg import FakeStore
dist.init_process_group("fake", rank=0, world_size=2, store=FakeStore())
head = gonio.Head(6, 11)
head.attach_optimizer(torch.optim.SGD(head.parameters()))
try:
    head(torch.randn(4, 6), torch.arange(4))
except RuntimeError as error:
    print(error)
"""


def test_several_ranks_are_refused():
    run = subprocess.run([sys.executable, "-c", RANKS], capture_output=True, text=True, check=True)
    assert run.stdout.startswith("head.weight: each rank")


MEMORY = """
import torch, gonio
torch.set_num_threads(1)
def peak():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
head = gonio.Head(128, 500_000, loss="arcface")
optimizer = torch.optim.{optimizer}(head.parameters(), lr=0.1, {more})
head.attach_optimizer(optimizer)
def step():
    x, y = torch.randn(4, 128, requires_grad=True), torch.randint(0, 500_000, (4,))
    optimizer.zero_grad()
    head(x, y).backward()
    optimizer.step()
before = peak()
step()
first = peak()
step()
print(first - before, peak() - first)
"""


@pytest.mark.parametrize(
    ("optimizer", "more", "states"), [("SGD", "momentum=0.9", 1), ("AdamW", "", 2)]
)
def test_nothing_of_the_weights_size_is_made_but_the_state(optimizer, more, states):
    code = MEMORY.format(optimizer=optimizer, more=more)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, second = (float(word) / (500_000 * 128 * 4 / 2**20) for word in run.stdout.split())
    # 244 MiB is 1; beside the state there are tiles of 2 or 4 MiB and what torch loads at a first step
    assert first < states + 0.4
    assert second < 0.2
