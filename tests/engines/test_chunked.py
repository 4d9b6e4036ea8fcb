"""What the settings of `Chunked` promise, beside the contract that all of its modes pass."""

import copy
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

import gonio
from contract.cases import CASES, Batch, losses_and_gradients
from gonio import losses
from gonio.engines import Chunked, Reference, Sampled
from gonio.rules import BetweenClasses

DIM, CLASSES = 6, 40


def made(size=16, **keywords):
    torch.manual_seed(0)
    head = gonio.Head(DIM, CLASSES, **{"backend": Chunked(7)} | keywords)
    return head, torch.randn(size, DIM), torch.randint(0, CLASSES, (size,))


def gradients(head, embeddings, labels):
    x = embeddings.clone().requires_grad_()
    head.zero_grad()
    head(x, labels).backward()
    return {"embeddings": x.grad} | {n: p.grad.clone() for n, p in head.named_parameters()}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"tile": 0}, r"tile: 0 is out of range \[1, "),
        ({"mode": "store"}, r"mode: 'store' is unknown; choose one of \['auto', 'stash'"),
        ({"budget": -1}, r"budget: -1 is out of range \[0, "),
        ({"budget": 10, "mode": "stash"}, "budget: mode 'stash' has no use for it"),
        ({"precision": "fp16"}, r"precision: 'fp16' is unknown; choose one of \['fp32', 'bf16'"),
        ({"negligible": 1.0}, r"negligible: 1.0 is out of range \[0, 1\)"),
        ({"negligible": -0.1}, r"negligible: -0.1 is out of range"),
    ],
)
def test_a_senseless_setting_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        Chunked(**settings)


@pytest.mark.parametrize("setting", ["tile", "budget", "negligible", "compiled"])
def test_a_setting_of_another_type_is_refused(setting):
    for value in ("big", [1], 1.5j, *([1] if setting == "compiled" else [True])):
        with pytest.raises(TypeError, match=rf"^{setting}: got "):
            Chunked(**{setting: value})


def test_settings_out_of_arrays_are_plain_numbers():
    given = Chunked(np.int64(2), budget=np.int32(8), negligible=np.float32(0.5))
    assert repr(given) == repr(Chunked(2, budget=8, negligible=0.5))
    drawn = Sampled(torch.tensor(0.5), given, np.int64(2**62)).draw(9, torch.tensor([1, 4]), 3)
    assert torch.equal(drawn, Sampled(0.5, given, 2**62).draw(9, torch.tensor([1, 4]), 3))


def stash_of(backend, batch):
    """What the graph of a loss keeps of (classes, batch)."""
    head = gonio.Head(DIM, CLASSES, loss="cosface", backend=backend)
    loss = head(torch.randn(batch, DIM), torch.randint(0, CLASSES, (batch,)))
    found, seen, nodes = [], set(), [loss.grad_fn]
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        nodes += [following for following, _ in node.next_functions]
        found += getattr(node, "kept", None).stash if hasattr(node, "kept") else []
    return found


def test_auto_keeps_the_products_while_they_fit_in_the_budget():
    assert [tuple(one.shape) for one in stash_of(Chunked(), DIM)] == [(CLASSES, DIM)]
    assert stash_of(Chunked(), DIM + 1) == []  # larger than the weight
    assert stash_of(Chunked(budget=CLASSES * 9 * 4), 9)
    assert not stash_of(Chunked(budget=CLASSES * 9 * 4 - 1), 9)
    assert stash_of(Chunked(budget=CLASSES * 9 * 2, precision="bf16"), 9)
    assert stash_of(Chunked(mode="stash"), 99)
    assert stash_of(Chunked(mode="recompute"), 1) == []


def test_the_modes_have_the_same_gradient_to_the_bit():
    found = [
        gradients(*made(backend=Chunked(7, mode=mode), loss="mv-am-softmax"))
        for mode in ("stash", "recompute")
    ]
    for name, value in found[0].items():
        assert torch.equal(found[1][name], value)


def exact_in_bfloat16(case):
    """A batch whose directions, weights and products all have at most 8 bits."""
    generator = torch.Generator().manual_seed(0)

    def choice(values, *shape):
        values = torch.tensor(values, dtype=torch.float64)
        return values[torch.randint(len(values), shape, generator=generator)]

    embeddings = choice([-1.0, 1.0], 9, 4) * choice([0.5, 1.0, 4.0], 9, 1)
    weight = choice([n / 16 for n in range(-16, 17)], 23, 10, 4)
    labels = torch.arange(9) % 3 if not case.has_weight else torch.arange(9)
    bias = torch.randn(23, generator=generator, dtype=torch.float64)
    return Batch(embeddings, weight, bias, labels, 1.0 + torch.arange(23))


@pytest.mark.parametrize("mode", ["stash", "recompute"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_bfloat16_rounds_the_products_and_nothing_else(case, mode):
    """Where the products have no more than 8 bits the loss is exact, and gradients are right to 8."""
    if not case.has_weight:
        pytest.skip("directions of embeddings on both sides have more bits")
    if case.loss.pairing.against == "anchors":
        pytest.skip("directions of anchors have more bits")
    if any(isinstance(term, BetweenClasses) for term in case.loss.terms):
        pytest.skip("directions of classes have more bits")
    batch = exact_in_bfloat16(case)
    truth = losses_and_gradients(batch.head(case.loss, Reference()), batch)
    backend = Chunked(7, mode=mode, precision="bf16")
    found = losses_and_gradients(batch.head(case.loss, backend), batch)
    torch.testing.assert_close(found.pop("loss"), truth["loss"], rtol=1e-9, atol=1e-9)
    for name, value in found.items():
        # pushes and sums are rounded to 2^-9 each, and a projection may cancel what is added up
        error = (value - truth[name]).abs().amax()
        assert error <= 2**-6 * truth[name].abs().amax(), f"{name}: {error}"


COMPILED = ["arcface", "curricularface", "sphereface2", "sub-center-arcface", "softmax"]
"""A plain score, a rule with a border, another pool, several centres, an offset."""


# tracing touches what torch itself warns of
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", COMPILED)
def test_compiled_is_the_same(name):
    found = []
    for compiled in (False, True):
        backend = Chunked(7, mode="stash", compiled=compiled)
        found.append(gradients(*made(backend=backend, loss=losses.get(name).loss())))
    for key, value in found[0].items():
        # a sum in another order, and an exponential of another library
        error = (found[1][key] - value).abs().amax()
        assert error <= 1e-5 * (1 + value.abs().amax()), f"{key}: {error}"


def test_a_compiler_that_fails_leaves_the_function_as_it_is(monkeypatch):
    from gonio.engines import compiling

    def broken(function, **_):
        def call(*_):
            raise torch._dynamo.exc.TorchDynamoException("no such compiler")

        return call

    monkeypatch.setattr(torch, "compile", broken)

    def double(x):
        return 2 * x

    fast = compiling.compiled(double)
    with pytest.warns(UserWarning, match=r"double, which now runs uncompiled.*no such compiler"):
        assert fast(2) == 4
    assert fast(3) == 6


def test_a_gradient_that_somebody_holds_is_not_written_over():
    head, embeddings, labels = made(size=4, backend=Chunked(7, mode="stash"))
    head(embeddings, labels).backward()
    held = head.weight.grad
    row = head.weight.grad[3].numpy()  # a view keeps the memory too
    before, first = held.clone(), held.data_ptr()
    head.weight.grad = None
    del held
    head(-embeddings, labels).backward()
    assert head.weight.grad.data_ptr() != first
    assert (row == before[3].numpy()).all()


def test_two_graphs_at_once_keep_their_own_products():
    head, embeddings, labels = made(backend=Chunked(7, mode="stash"))
    expected = [gradients(head, x, labels) for x in (embeddings, -embeddings)]
    x = [embeddings.clone().requires_grad_(), (-embeddings).requires_grad_()]
    both = [head(one, labels) for one in x]
    for one, loss, truth in zip(x, both, expected, strict=True):
        head.zero_grad()
        loss.backward()
        assert torch.equal(one.grad, truth["embeddings"])
        assert torch.equal(head.weight.grad, truth["weight"])


def test_heads_share_settings_and_no_memory():
    backend = Chunked(7, mode="stash")
    head, embeddings, labels = made(backend=backend)
    other, _, _ = made(backend=backend)
    gradients(head, embeddings, labels)
    assert (head.last_step.rows, other.last_step.rows) == (16, 0)
    for another in (other, copy.deepcopy(head), pickle.loads(pickle.dumps(head))):
        assert another.backend == backend
        assert len(another.workspace.gradient._memory) == 0


def test_auto_says_of_a_small_batch_that_all_took_part():
    head, embeddings, labels = made(backend="auto")
    gradients(head, embeddings, labels)
    report = head.last_step
    assert (report.rows, report.rows_in_backward, report.error_bound) == (16, 16, 0)


def test_auto_never_makes_the_directions_of_a_large_weight():
    head = gonio.Head(2048, 4096, dtype=torch.float32)
    loss = head(torch.randn(2, 2048), torch.tensor([0, 1]))
    assert "_Streamed" in names_of_nodes(loss)
    assert "_Streamed" not in names_of_nodes(
        gonio.Head(8, 4096)(torch.randn(2, 8), torch.zeros(2, dtype=torch.int64))
    )


def names_of_nodes(loss):
    seen, nodes = set(), [loss.grad_fn]
    while nodes:
        node = nodes.pop()
        if node is not None and node not in seen:
            seen.add(node)
            nodes += [following for following, _ in node.next_functions]
    return " ".join(node.name() for node in seen)


def test_another_backend_may_take_the_place_of_one():
    head, embeddings, labels = made(backend="auto")
    truth = gradients(head, embeddings, labels)
    head.backend = "chunked"
    for name, value in gradients(head, embeddings, labels).items():
        torch.testing.assert_close(value, truth[name])
    with pytest.raises(ValueError, match="backend: 'chunkd' is unknown"):
        head.backend = "chunkd"
    smoothed, _, _ = made(label_smoothing=0.1)
    with pytest.raises(ValueError, match=r"label_smoothing: got 0\.1"):
        smoothed.backend = Sampled(0.5)


def test_an_attached_optimizer_needs_no_memory_for_a_gradient():
    head, embeddings, labels = made()
    gradients(head, embeddings, labels)
    head.zero_grad()
    assert len(head.workspace.gradient._memory) > 0
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
    head.attach_optimizer(optimizer)
    head(embeddings, labels).backward()
    assert len(head.workspace.gradient._memory) == 0


def test_many_losses_in_one_process_are_all_compiled():
    from torch._dynamo.utils import counters

    counters.clear()
    names = ["arcface", "mv-am-softmax", "curricularface", "circle", "softmax", "npcface"]
    names += ["arcnegface", "sphereface2", "focal", "adaface"]
    for name in names:
        head, embeddings, labels = made(loss=name, backend=Chunked(CLASSES, compiled=True))
        with torch.no_grad():
            head(embeddings, labels)
    assert not counters["recompile_limit"]


def on_a_sharp_batch(negligible, **keywords):
    """Half of the samples sit on their class, so that they hardly push."""
    head, embeddings, labels = made(
        backend=Chunked(7, negligible=negligible), loss=losses.cosface(margin=0.1), **keywords
    )
    near = head.weight[labels].detach() + 0.01 * embeddings
    return head, torch.where(torch.arange(16)[:, None] < 8, near, embeddings), labels


@pytest.mark.parametrize("mode", ["stash", "recompute"])
def test_rows_that_hardly_push_leave_and_the_bound_holds(mode):
    head, embeddings, labels = on_a_sharp_batch(0.0, dtype=torch.float64)
    embeddings = torch.nn.functional.normalize(embeddings.double())
    with torch.no_grad():
        head.weight.copy_(torch.nn.functional.normalize(head.weight))
    exact = gradients(head, embeddings, labels)
    assert head.last_step.rows == head.last_step.rows_in_backward == 16
    assert head.last_step.error_bound == 0
    errors = []
    for negligible in (1e-12, 1e-6, 1e-2, 0.3):
        head.backend = Chunked(7, mode=mode, negligible=negligible)
        found = gradients(head, embeddings, labels)
        report = head.last_step
        assert 0 < report.rows_in_backward <= 16
        for name in ("embeddings", "weight"):  # of norm 1, so a projection makes it no larger
            error = (found[name] - exact[name]).norm().item()
            assert error <= report.error_bound + 1e-14
        errors.append(report.error_bound)
    assert errors == sorted(errors)
    assert head.last_step.rows_in_backward < 16
    assert errors[-1] > 0


def test_the_bound_is_the_push_of_all_rows_that_left():
    head, embeddings, labels = on_a_sharp_batch(0.3, dtype=torch.float64)
    embeddings = embeddings.double()
    head(embeddings.requires_grad_(), labels).backward()
    scores = head.logits(embeddings, labels, margin=True).detach()
    missing = 1 - scores.softmax(dim=1)[range(16), labels]
    push = (head.loss.scale.value * missing / 16).sort().values
    reached = push.cumsum(dim=0)
    left = int((reached <= 0.3 * reached[-1]).sum())
    assert 1 < left < 16
    assert head.last_step.rows_in_backward == 16 - left
    assert head.last_step.error_bound == pytest.approx(float(reached[left - 1]), rel=1e-9)


NOT_PLAIN = [
    {"loss": "mv-am-softmax"},
    {"loss": "softmax"},
    {"loss": "soft-triple"},
    {"label_smoothing": 0.1},
]


@pytest.mark.parametrize("keywords", NOT_PLAIN, ids=str)
def test_where_no_rows_can_be_left_out_it_says_so(keywords):
    with pytest.warns(UserWarning, match=r"backend: negligible=0\.5 leaves nothing out with this"):
        made(backend=Chunked(7, negligible=0.5), **keywords)


@pytest.mark.parametrize("keywords", NOT_PLAIN, ids=str)
@pytest.mark.filterwarnings("ignore:backend. negligible:UserWarning")
def test_only_plain_cosines_leave_rows_out(keywords):
    head, embeddings, labels = made(backend=Chunked(7, negligible=0.5), **keywords)
    found = gradients(head, embeddings, labels)
    assert head.last_step.error_bound == 0
    head.backend = Chunked(7)
    for name, value in gradients(head, embeddings, labels).items():
        assert torch.equal(found[name], value)


def test_a_batch_that_does_not_push_at_all_has_a_gradient_of_zeros():
    head, _, labels = made(backend=Chunked(7, negligible=0.1), loss=losses.cosface(margin=0.0))
    with torch.no_grad():
        head.weight.copy_(torch.eye(CLASSES)[:, :DIM] * 0)
    found = gradients(head, torch.zeros(16, DIM), labels)
    assert all(value.isfinite().all() for value in found.values())


IN_LITTLE_MEMORY = """
import resource, sys, torch, gonio
from gonio.engines import Chunked, Sampled
torch.set_num_threads(1)
what = sys.argv[1]
settings = {"stash": {"mode": "stash"}, "tile": {"mode": "recompute", "tile": 400_000}}
backend = Chunked(**settings.get(what, {"mode": "recompute", "tile": 100}), compiled=False)
head = gonio.Head(64, 400_000, loss="cosface", backend=backend)
x = torch.randn(512, 64, requires_grad=True)
labels = torch.arange(512)
gonio.Head(64, 600, loss="cosface", backend=Chunked(50))(x, labels).backward()  # libraries are loaded
loss = head(x, labels) if what == "gradient" else None
if what == "momentum":
    head.attach_optimizer(torch.optim.SGD(head.parameters(), lr=0.1, momentum=0.9))
if what == "drawn":
    head.backend = Sampled(0.9, backend)
if what == "reference":
    head.backend = "reference"
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
room = 60 if what in ("gradient", "momentum", "drawn") else 400
resource.setrlimit(resource.RLIMIT_AS, (size + room * 2**20, -1))
try:
    (head(x, labels) if loss is None else loss).backward()
except MemoryError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of memory is Linux's")
@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("stash", "products kept for backward (400000 x 512) needs 781 MiB; Chunked(mode='rec"),
        ("gradient", "gradient of the class weights (400000 x 64) needs 98 MiB; head.attach_o"),
        ("tile", "a tile of 400000 classes needs 6,250 MiB; a smaller Chunked(tile=...)"),
        (
            "momentum",
            "optimizer's momentum_buffer of head.weight needs 98 MiB; torch.optim.SGD with",
        ),
        ("drawn", "weight of 360000 drawn classes needs 88 MiB; a lower rate needs less"),
        ("reference", "matrix of all scores needs 781 MiB; backend='chunked' never makes it"),
    ],
)
def test_what_ran_out_of_memory_is_named(what, words):
    run = subprocess.run(
        [sys.executable, "-c", IN_LITTLE_MEMORY, what], capture_output=True, text=True, check=True
    )
    assert f"out of memory: {'the ' if what != 'tile' else ''}{words}" in run.stdout


@pytest.mark.parametrize("centers", [1, 3])
def test_logits_are_the_same_without_a_gradient(centers):
    loss = replace(losses.cosface(), score=replace(losses.cosface().score, centers=centers))
    head, embeddings, _ = made(loss=loss)
    with torch.no_grad():
        head.weight[0] = 0
        found = head.logits(embeddings)
    torch.testing.assert_close(found, head.logits(embeddings))
