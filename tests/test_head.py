import copy
import math
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import gonio
from gonio import losses
from gonio.engines import Chunked, Reference
from gonio.engines.seam import Engine, Held
from gonio.ranks import ALONE
from gonio.rules import (
    Apart,
    Difference,
    FeatureNorm,
    Filter,
    MarginReward,
    OneVersusRest,
)
from gonio.rules.facts import Embedded, Memory
from gonio.rules.number import resolved

DIM, CLASSES = 6, 11


COUNTS = torch.arange(1, CLASSES + 1)


def made(size=7, **keywords):
    head = gonio.Head(DIM, CLASSES, **{"class_counts": COUNTS} | keywords)
    return head, torch.randn(size, DIM), torch.randint(0, CLASSES, (size,))


def gradients(head):
    found = {name: parameter.grad.clone() for name, parameter in head.named_parameters()}
    head.zero_grad()
    return found


def test_the_door_works_as_the_readme_shows():
    head = gonio.Head(embedding_dim=8, num_classes=10, loss="arcface")
    loss = head(torch.randn(4, 8), torch.tensor([0, 3, 3, 9]))
    assert loss.shape == ()
    assert head.weight.shape == (10, 8)
    assert isinstance(head.weight, torch.nn.Parameter)
    by_hand = gonio.Head(8, 10, loss=losses.arcface(margin=0.5, scale=64.0))
    assert by_hand.loss == head.loss


@pytest.mark.parametrize("name", losses.names())
def test_logits_never_hold_a_margin(name):
    head, embeddings, _ = made(loss=name)
    if head.weight is None:
        with pytest.raises(ValueError, match="no class weights"):
            head.logits(embeddings)
        return
    logits = head.logits(embeddings)
    assert logits.shape == (7, CLASSES)
    score = head.loss.score
    x, w = embeddings, head.weight
    x = F.normalize(x, dim=1) if score.unit_embedding else x
    w = F.normalize(w, dim=-1) if score.unit_weight else w
    scale = head.loss.scale(Embedded(embeddings), Memory(head.state_dict()))[:, None]
    product = torch.einsum("bd,c...d->bc...", x, w)
    expected = scale * (product if w.ndim == 2 else score.of_centers(product))
    expected = expected + getattr(head, "bias", 0)
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)


def test_measure_tells_accuracy_and_angle_without_a_margin():
    head, _, labels = made(loss="arcface", backend=Chunked(3))
    right, angle = head.measure(head.weight[labels].detach(), labels)
    assert right.all()
    torch.testing.assert_close(angle, torch.zeros(7), atol=1e-3, rtol=0)
    right, angle = head.measure(-head.weight[labels].detach(), labels)
    assert not right.any()
    torch.testing.assert_close(angle, torch.full((7,), math.pi), atol=1e-3, rtol=0)


@pytest.mark.parametrize("backend", ["reference", "chunked"])
def test_ignored_rows_add_exactly_nothing(backend):
    head, embeddings, labels = made(loss="arcface", backend=backend, ignore_index=-1)
    labels[2] = labels[5] = -1
    embeddings[5] = torch.nan
    embeddings.requires_grad_()
    head(embeddings, labels).backward()
    found = gradients(head)
    kept = [0, 1, 3, 4, 6]
    assert embeddings.grad[[2, 5]].tolist() == [[0.0] * DIM] * 2
    head(embeddings[kept].detach(), labels[kept]).backward()
    for name, value in gradients(head).items():
        assert torch.equal(found[name], value)
    right, angle = head.measure(embeddings.detach(), labels)
    assert right.shape == angle.shape == (5,)
    per_sample = head(embeddings.detach(), labels, reduction="none")
    assert per_sample.shape == (7,)
    assert per_sample[[2, 5]].tolist() == [0, 0]


@pytest.mark.parametrize("name", losses.names())
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_an_empty_batch_is_a_zero_that_can_be_backpropagated(name, reduction):
    for backend in ("reference", "chunked"):
        head, _, _ = made(loss=name, backend=backend, ignore_index=-100)
        if any(isinstance(term, MarginReward) for term in head.loss.terms):
            head.eval()  # its margins would be cut to their range
        for size, label in ((0, 0), (3, -100)):
            embeddings = torch.randn(size, DIM, requires_grad=True)
            loss = head(embeddings, torch.full((size,), label), reduction=reduction)
            loss.sum().backward()
            assert loss.sum().item() == 0
            assert not embeddings.grad.any()
            assert not any(value.any() for value in gradients(head).values())


@pytest.mark.parametrize("name", losses.names())
def test_one_class_costs_nothing(name):
    for backend in ("reference", "chunked"):
        head = gonio.Head(DIM, 1, loss=name, backend=backend, class_counts=torch.tensor([3]))
        embeddings = torch.randn(3, DIM, requires_grad=True)
        loss = head(embeddings, torch.zeros(3, dtype=torch.int64))
        loss.backward()
        assert loss.isfinite()
        assert embeddings.grad.isfinite().all()
        is_compared = not isinstance(head.loss.penalty, Apart | OneVersusRest | Difference)
        if is_compared and not head.loss.terms and head.weight is not None:
            assert loss.item() == 0
            assert not head.weight.grad.any()


def test_reductions_and_sample_weights():
    head, embeddings, labels = made(loss="cosface")
    each = head(embeddings, labels, reduction="none")
    weight = torch.tensor([0.0, 1, 2, 0.5, 1, 1, 3])
    torch.testing.assert_close(head(embeddings, labels), each.mean())
    torch.testing.assert_close(head(embeddings, labels, reduction="sum"), each.sum())

    def weighted(reduction):
        return head(embeddings, labels, sample_weight=weight, reduction=reduction)

    torch.testing.assert_close(weighted("none"), each * weight)
    torch.testing.assert_close(weighted("sum"), (each * weight).sum())
    torch.testing.assert_close(weighted("mean"), (each * weight).sum() / weight.sum())
    assert head(embeddings, labels, sample_weight=torch.zeros(7)).item() == 0


def test_a_weight_of_two_is_the_sample_twice():
    head, embeddings, labels = made(loss="arcface")
    twice = torch.tensor([0, 1, 1, 2, 3, 4, 5, 6])
    weight = torch.tensor([1.0, 2, 1, 1, 1, 1, 1])
    torch.testing.assert_close(
        head(embeddings, labels, sample_weight=weight), head(embeddings[twice], labels[twice])
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("backend", ["reference", "chunked"])
def test_half_precision_embeddings_leave_the_weight_alone(dtype, backend):
    head, embeddings, labels = made(loss="arcface", backend=backend)
    half = embeddings.to(dtype).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = head(half, labels)
    loss.backward()
    assert loss.dtype == torch.float32
    assert half.grad.dtype == dtype
    assert head.weight.dtype == head.weight.grad.dtype == torch.float32
    torch.testing.assert_close(loss, head(half.detach().float(), labels))


def test_a_half_precision_head_computes_in_float32():
    head = gonio.Head(DIM, CLASSES, loss="arcface", dtype=torch.bfloat16)
    loss = head(torch.randn(3, DIM, dtype=torch.bfloat16), torch.tensor([0, 1, 2]))
    loss.backward()
    assert loss.dtype == torch.float32
    assert head.weight.grad.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("embeddings", "labels", "error", "words"),
    [
        ((3, DIM), [0, 1, CLASSES], ValueError, r"labels: 11 is out of range \[0, 11\) at row 2"),
        ((3, DIM), [0, -1, 1], ValueError, r"-1 is out of range.* row 1; .*ignore_index=-1"),
        ((3, DIM), [0.0, 1.0, 2.0], TypeError, "labels: float32.* pass integers"),
        ((3, DIM), [True, False, True], TypeError, "labels: bool"),
        ((3, DIM), [0, 1], ValueError, r"labels: int64\[2\] does not match embeddings"),
        ((3, DIM + 1), [0, 1, 2], ValueError, "does not match embedding_dim 6"),
        ((3,), [0, 1, 2], ValueError, r"must be \[batch, 6\]"),
    ],
)
def test_a_bad_batch_is_named(embeddings, labels, error, words):
    head = gonio.Head(DIM, CLASSES)
    with pytest.raises(error, match=words):
        head(torch.randn(*embeddings), torch.tensor(labels))


def test_values_that_are_not_finite_are_named():
    head, embeddings, labels = made()
    embeddings[4, 2] = torch.inf
    with pytest.raises(ValueError, match="embeddings: inf at row 4"):
        head(embeddings, labels)
    embeddings[4, 2] = 0
    with torch.no_grad():
        head.weight[3] = torch.nan
    with pytest.raises(ValueError, match=r"loss: nan at row 0; weight: class 3 is not finite"):
        head(embeddings, labels)


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"loss": "arcfase"}, "'arcfase' is unknown; did you mean 'arcface'"),
        (
            {"backend": "cuda"},
            "backend: 'cuda' is unknown; choose one of auto, reference, chunked",
        ),
        ({"num_classes": 0}, "num_classes: 0"),
        ({"embedding_dim": 0}, "embedding_dim: 0"),
    ],
)
def test_a_bad_head_is_refused_at_once(keywords, words):
    with pytest.raises(ValueError, match=words):
        gonio.Head(**{"embedding_dim": DIM, "num_classes": CLASSES} | keywords)


def test_errors_count_the_rows_of_the_whole_batch():
    head, embeddings, labels = made(ignore_index=-1)
    labels[:3] = -1
    wrong = labels.clone()
    wrong[5] = 99
    with pytest.raises(ValueError, match=r"labels: 99 is out of range .* at row 5"):
        head(embeddings, wrong)
    with torch.no_grad():
        head.weight[:] = torch.nan
    with pytest.raises(ValueError, match="loss: nan at row 3; weight: class 0 is not finite"):
        head(embeddings, labels)


@pytest.mark.parametrize("backend", ["reference", "chunked"])
def test_backward_inside_autocast_changes_nothing(backend):
    head, embeddings, labels = made(loss="max-hinge", backend=backend)
    head(embeddings, labels).backward()
    expected = gradients(head)["weight"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        head(embeddings, labels).backward()
    torch.testing.assert_close(gradients(head)["weight"], expected, rtol=0.02, atol=0.02)


# tracing touches what torch itself warns of: instances of autograd functions, .grad of inner tensors
@pytest.mark.filterwarnings("ignore")
def test_bad_batches_are_named_under_compile_too():
    head, embeddings, labels = made(loss="cosface")
    compiled = torch.compile(head, backend="eager")
    torch.testing.assert_close(compiled(embeddings, labels), head(embeddings, labels))
    labels[2] = -1
    with pytest.raises(ValueError, match="labels: -1 is out of range"):
        compiled(embeddings, labels)


@dataclass(frozen=True)
class Elsewhere(Engine):
    """The reference, over another weight."""

    move: Callable[[torch.Tensor], torch.Tensor]

    def __call__(self, query, held, workspace, ranks=ALONE):
        return Reference()(query, Held(self.move(held.weight)), workspace)


def test_a_backend_may_share_the_gradient_of_the_weight():
    """What it was made from must not receive the rows of the own classes."""
    head, embeddings, labels = made(loss="cosface", dtype=torch.float64)
    offset = torch.zeros_like(head.weight, requires_grad=True)

    head.backend = Elsewhere(lambda weight: weight + offset)
    head(embeddings, labels).backward()
    found = offset.grad
    detached = head.weight.detach().clone().requires_grad_()

    head.backend = Elsewhere(lambda _: detached)
    head(embeddings, labels).backward()
    torch.testing.assert_close(found, detached.grad)


def test_a_head_can_be_made_without_storage_and_filled_later():
    with torch.device("meta"):
        head = gonio.Head(DIM, CLASSES, loss="normface")
    head.to_empty(device="cpu").reset_parameters()
    assert int(head.step) == 0
    assert head(torch.randn(2, DIM), torch.tensor([0, 1])).isfinite()


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"loss": losses.arcface}, r"loss: .* call a row"),
        ({"backend": Chunked}, "backend: .* is no backend"),
        ({"backend": None}, "backend: None is no backend"),
    ],
)
def test_what_is_no_loss_or_backend_is_refused(keywords, words):
    with pytest.raises(TypeError, match=words):
        gonio.Head(DIM, CLASSES, **keywords)


def test_bad_keywords_of_a_call_are_named():
    head, embeddings, labels = made()
    with pytest.raises(ValueError, match="reduction: 'avg'"):
        head(embeddings, labels, reduction="avg")
    with pytest.raises(ValueError, match=r"sample_weight: -1.0 at row 3"):
        head(embeddings, labels, sample_weight=torch.tensor([1.0, 1, 1, -1, 1, 1, 1]))
    with pytest.raises(ValueError, match=r"sample_weight: inf at row 0"):
        head(embeddings, labels, sample_weight=torch.full((7,), torch.inf))
    with pytest.raises(ValueError, match="sample_weight: float32"):
        head(embeddings, labels, sample_weight=torch.ones(3))


@pytest.mark.parametrize("backend", ["reference", "chunked"])
def test_what_a_feature_norm_multiplies_may_be_left_out(backend):
    loss = gonio.Loss(FeatureNorm(), negative=Filter(-0.1))
    head, embeddings, labels = made(loss=loss, backend=backend)
    embeddings[0] = 0
    embeddings.requires_grad_()
    head(embeddings, labels).backward()
    assert embeddings.grad.isfinite().all()
    assert head.weight.grad.isfinite().all()


def test_a_margin_alone_can_be_learned():
    for backend in ("reference", "chunked"):
        head, embeddings, labels = made(loss="adaptiveface", backend=backend)
        head.weight.requires_grad_(False)
        head(embeddings, labels).backward()
        assert head.margins.grad[labels].any()


def test_class_weights_survive_a_head_without_storage():
    weight = torch.rand(CLASSES)
    with torch.device("meta"):
        head = gonio.Head(DIM, CLASSES, class_weight=weight)
    head.to_empty(device="cpu").reset_parameters()
    torch.testing.assert_close(head.class_weight, weight)


def test_a_batch_without_a_pair_is_told_in_training():
    head, embeddings, _ = made(loss="supcon")
    with pytest.warns(UserWarning, match="labels: no two of the 7 samples share one"):
        head(embeddings, torch.arange(7))
    right, angle = head.measure(embeddings[:0], torch.arange(0))
    assert right.shape == angle.shape == (0,)


@pytest.mark.parametrize("name", ["cosface", "l2-softmax", "sub-center-arcface"])
def test_smoothing_has_second_derivatives_where_the_matrix_is_stored(name):
    head, embeddings, labels = made(
        loss=name, backend="reference", label_smoothing=0.1, dtype=torch.float64
    )
    (first,) = torch.autograd.grad(head(embeddings, labels), head.weight, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), head.weight)
    assert second.isfinite().all()
    assert second.any()


@dataclass(frozen=True)
class Steps:
    """A negative rule of two numbers."""

    low: object
    high: object

    def __call__(self, cosine, sample):
        low, high = (
            one if isinstance(one, torch.Tensor) else torch.tensor(one, dtype=cosine.dtype)
            for one in (resolved(self.low), resolved(self.high))
        )
        return torch.where(cosine > 0, low, high) * cosine


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_scheduled_negative_rule_has_the_digits_of_the_head(dtype):
    def loss(low):
        return replace(losses.cosface(scale=8.0), negative=Steps(low, 1.3))

    ramp = gonio.Ramp(0.1, 0.7, 3)
    head, embeddings, labels = made(loss=loss(ramp), dtype=dtype)
    head.step.fill_(1)
    plain, _, _ = made(loss=loss(ramp(1)), dtype=dtype)
    plain.load_state_dict(head.state_dict(), strict=False)
    found, truth = (one(embeddings.to(dtype), labels) for one in (head, plain))
    assert found.dtype == dtype
    assert found == truth


def test_schedules_follow_the_saved_step():
    loss = losses.arcface(margin=gonio.Ramp(0.0, 0.5, 10), scale=gonio.Ramp(10.0, 64.0, 10))
    head, embeddings, labels = made(loss=loss)
    plain = gonio.Head(DIM, CLASSES, loss=losses.normface(scale=10.0))
    plain.load_state_dict(head.state_dict(), strict=False)
    torch.testing.assert_close(head(embeddings, labels), plain(embeddings, labels))
    assert head.current_loss.target.add == pytest.approx(0.05)
    for _ in range(20):
        head(embeddings, labels)
    assert head.current_loss == losses.arcface(margin=0.5, scale=64.0)
    resumed = gonio.Head(DIM, CLASSES, loss=loss)
    resumed.load_state_dict(head.state_dict())
    assert torch.equal(resumed(embeddings, labels), head(embeddings, labels))
    step = int(head.step)
    with torch.no_grad():
        head(embeddings, labels)
    head.eval()(embeddings, labels)
    assert int(head.step) == step


def test_annealing_hands_over_to_the_margin():
    head, embeddings, labels = made(loss=losses.sphereface(margin=4.0))
    start = head(embeddings, labels).item()
    head.step.fill_(100_000)
    assert head.current_loss.target.weight == 5
    assert head(embeddings, labels).item() > start


def test_learned_scale_has_a_minimum_and_a_gradient_there():
    head = gonio.Head(DIM, CLASSES, loss=losses.normface(scale="learned", minimum=7.0))
    with torch.no_grad():
        head.raw_scale.fill_(-30.0)
    memory = Memory({"raw_scale": head.raw_scale})
    assert head.loss.scale(Embedded(torch.ones(1, 1)), memory).item() == pytest.approx(7, abs=1e-5)
    head(torch.randn(4, DIM), torch.arange(4)).backward()
    assert head.raw_scale.grad != 0


@pytest.mark.parametrize("probability", [0.9, 0.99])
def test_auto_scale_lets_a_perfect_sample_reach_the_probability(probability):
    classes = DIM + 1
    head = gonio.Head(DIM, classes, loss=losses.cosface(margin=0.2, scale=gonio.Auto(probability)))
    # a regular simplex: every pair of classes at cosine -1 / (C - 1)
    simplex = torch.eye(classes) - 1 / classes
    basis = torch.linalg.svd(simplex).Vh[:DIM]
    with torch.no_grad():
        head.weight.copy_(simplex @ basis.T)
    loss = head(head.weight.detach(), torch.arange(classes), reduction="none")
    torch.testing.assert_close(
        (-loss).exp(), torch.full((classes,), probability), atol=1e-4, rtol=0
    )


def test_detached_arcface_has_the_value_of_one_and_the_gradient_of_the_other():
    embeddings, labels = torch.randn(5, DIM), torch.arange(5)
    found = {}
    for mode in ("exact", "detached"):
        torch.manual_seed(3)
        head = gonio.Head(DIM, CLASSES, loss=losses.arcface(gradient=mode, scale=8.0))
        x = embeddings.clone().requires_grad_()
        each = head(x, labels, reduction="none")
        each.sum().backward()
        found[mode] = each.detach(), x.grad
    torch.testing.assert_close(found["exact"][0], found["detached"][0])
    assert not torch.allclose(found["exact"][1], found["detached"][1], rtol=1e-3)


def test_a_loss_prints_compares_hashes_and_pickles():
    for name in losses.names():
        loss = losses.get(name).loss()
        assert loss == losses.get(name).loss()
        assert hash(loss) == hash(losses.get(name).loss())
        assert pickle.loads(pickle.dumps(loss)) == loss
        assert "Loss(" in repr(loss)


def test_a_head_copies_and_saves():
    head, embeddings, labels = made(loss="normface")
    head(embeddings, labels)
    other = copy.deepcopy(head)
    assert torch.equal(other(embeddings, labels), head(embeddings, labels))
    assert set(head.state_dict()) == {"weight", "raw_scale", "step", "fingerprint"}


def test_second_backward_gives_the_same_gradient():
    for backend in ("reference", "chunked"):
        head, embeddings, labels = made(loss="arcface", backend=backend)
        loss = head(embeddings, labels)
        loss.backward(retain_graph=True)
        first = gradients(head)["weight"]
        loss.backward()
        assert torch.equal(gradients(head)["weight"], first)


@settings(max_examples=20)
@given(st.sampled_from(losses.names()), st.integers(0, 2**31))
def test_rotation_changes_nothing(name, seed):
    torch.manual_seed(seed)
    head, embeddings, labels = made(loss=name, dtype=torch.float64)
    head.eval()
    embeddings = embeddings.double()
    before = head(embeddings, labels).item()
    rotation = torch.linalg.qr(torch.randn(DIM, DIM, dtype=torch.float64)).Q
    with torch.no_grad():
        if head.weight is not None:
            head.weight.copy_(head.weight @ rotation)
    assert head(embeddings @ rotation, labels).item() == pytest.approx(before, rel=1e-9, abs=1e-9)


@settings(max_examples=20)
@given(st.sampled_from(["am-softmax", "arcface", "hinge", "max-hinge"]), st.integers(0, 2**31))
def test_a_larger_margin_never_costs_less(name, seed):
    torch.manual_seed(seed)
    embeddings, labels = torch.randn(7, DIM), torch.randint(0, CLASSES, (7,))
    costs = []
    for margin in (0.0, 0.2, 0.5, 1.0):
        torch.manual_seed(seed)
        head = gonio.Head(DIM, CLASSES, loss=losses.get(name).loss(margin=margin))
        costs.append(head(embeddings, labels).item())
    assert costs == sorted(costs)


def test_detached_gradient_is_that_of_the_plain_cosine():
    """d loss / d cosine = -s (1 - p), with the margin in p alone."""
    scale, margin = 8.0, 0.5
    head = gonio.Head(
        DIM, CLASSES, loss=losses.arcface(margin, scale, gradient="detached"), dtype=torch.float64
    )
    embeddings = torch.randn(1, DIM, dtype=torch.float64, requires_grad=True)
    head(embeddings, torch.tensor([3])).backward()
    x = embeddings.detach().clone().requires_grad_()
    cosine = torch.nn.functional.normalize(x) @ torch.nn.functional.normalize(head.weight).T
    moved = cosine.detach().clone()
    moved[0, 3] = (moved[0, 3].acos() + margin).cos()
    probability = (scale * moved).softmax(dim=1)
    probability[0, 3] -= 1
    (expected,) = torch.autograd.grad(cosine, x, scale * probability)
    torch.testing.assert_close(embeddings.grad, expected)


def test_a_second_derivative_is_refused_by_name():
    head, embeddings, labels = made(loss="cosface", backend="chunked")
    loss = head(embeddings.requires_grad_(), labels)
    with pytest.raises(RuntimeError, match="backend='reference'"):
        torch.autograd.grad(loss, [embeddings, head.weight], create_graph=True)
    assert head.weight.grad is None


def test_measure_counts_a_tie_as_wrong():
    head, _, _ = made(loss="arcface")
    with torch.no_grad():
        head.weight[4] = head.weight[7]
    near = head.weight[4].detach() + 0.1 * torch.randn(500, DIM)
    right, _ = head.measure(near, torch.full((500,), 4))
    assert not right.any()


def test_logits_are_float32_under_autocast():
    head, embeddings, _ = made(loss="arcface")
    expected = head.logits(embeddings)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(head.logits(embeddings), expected)
    half = embeddings.bfloat16()
    assert torch.equal(head.logits(half), head.logits(half.float()))


def test_another_device_is_named():
    head, embeddings, labels = made()
    with pytest.raises(ValueError, match="embeddings: they are on meta, the head on cpu"):
        head(embeddings.to("meta"), labels)
    with pytest.raises(ValueError, match="labels: they are on meta, the head on cpu"):
        head(embeddings, labels.to("meta"))


def test_a_frozen_weight_is_left_alone_and_not_warned_about():
    head, embeddings, labels = made(loss="arcface")
    head.weight.requires_grad_(False)
    optimizer = torch.optim.SGD([embeddings.requires_grad_()], lr=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(30):
            head(embeddings, labels).backward()
            optimizer.step()
    assert head.weight.grad is None


@pytest.mark.parametrize("backend", ["reference", "chunked"])
def test_gradients_accumulate_over_batches(backend):
    head, embeddings, labels = made(loss="arcface", backend=backend)
    head(embeddings, labels, reduction="sum").backward()
    whole = gradients(head)["weight"]
    for part in (slice(0, 3), slice(3, 7)):
        head(embeddings[part], labels[part], reduction="sum").backward()
    torch.testing.assert_close(gradients(head)["weight"], whole)


def test_the_weight_begins_with_rows_of_norm_about_one():
    norms = gonio.Head(64, 500).weight.norm(dim=1)
    assert norms.mean().item() == pytest.approx(1, abs=0.05)


MEMORY = """
import torch, gonio
torch.set_num_threads(1)
def peak():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
backend = gonio.engines.Chunked(compiled=False)  # a compiler has memory of its own
head = gonio.Head(16, 200_000, loss="arcface", backend=backend)
x, y = torch.randn(1024, 16, requires_grad=True), torch.randint(0, 200_000, (1024,))
head(x[:2], y[:2]).backward(); head.zero_grad()
before = peak()
head(x, y).backward()
print(peak() - before)
"""


def test_chunked_never_stores_batch_times_classes():
    run = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    whole_matrix = 1024 * 200_000 * 4 / 2**20
    # the weight's gradient is 12 MiB, a tile 6 MiB a dozen times over; the matrix would be 781 MiB
    assert float(run.stdout) < whole_matrix / 6


WEIGHT = """
import torch, gonio
torch.set_num_threads(1)
def peak():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
head = gonio.Head(128, 500_000, loss="arcface", backend="chunked")
x, y = torch.randn(4, 128, requires_grad=True), torch.randint(0, 500_000, (4,))
before = peak()
head(x, y).backward()
print(peak() - before)
"""


def test_backward_fills_one_buffer_of_the_weights_size():
    run = subprocess.run([sys.executable, "-c", WEIGHT], capture_output=True, text=True, check=True)
    buffer = 500_000 * 128 * 4 / 2**20
    # the gradient itself, and tiles; indexing the own rows apart would fill a second one
    assert float(run.stdout) < 1.7 * buffer
