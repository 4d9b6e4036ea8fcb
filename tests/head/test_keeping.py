"""What a head keeps: written once, after all checks; wide in a narrow head; told in checkpoints."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn

import gonio
from gonio import losses, rules

CLASSES, DIM = 6, 4
COUNTS = torch.arange(1, CLASSES + 1)
OF_TORCH = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:The .grad attribute")
"""What its compiler warns of itself."""
STATISTICS = ["center-loss", "curricularface", "adaface", "adacos", "kappaface"]


def head_of(loss, **more):
    torch.manual_seed(1)
    return gonio.Head(DIM, CLASSES, loss, class_counts=COUNTS, **more)


def batch(dtype=torch.float32):
    x = torch.randn(12, DIM, generator=torch.Generator().manual_seed(0)).to(dtype)
    return 4 * x, torch.arange(12) % CLASSES


def kept(head):
    return {name: value.clone() for name, value in head.named_buffers()}


@dataclass(frozen=True)
class Failing:
    """A negative rule with a mistake in it."""

    def __call__(self, cosine, sample):
        raise ZeroDivisionError


BROKEN = gonio.Loss(
    rules.Fixed(8.0), rules.QualityMargin(0.4, rules.NormQuality()), negative=Failing()
)


@pytest.mark.parametrize("loss", [*STATISTICS, BROKEN], ids=lambda one: str(one)[:14])
def test_a_batch_that_is_refused_changes_nothing(loss):
    head, (x, labels) = head_of(loss), batch()
    if loss is not BROKEN:
        head(x, labels)
        with torch.no_grad():
            head.weight[2] = torch.nan
    before, random = kept(head), torch.get_rng_state()
    with pytest.raises((ValueError, ZeroDivisionError)):
        head(x, labels)
    for name, value in kept(head).items():
        assert torch.equal(value, before[name]), name
    assert torch.equal(torch.get_rng_state(), random)


@pytest.mark.parametrize("loss", STATISTICS)
@pytest.mark.parametrize("cast", [torch.bfloat16, torch.float16, torch.float64])
def test_statistics_stay_wide_in_a_head_that_is_cast(loss, cast):
    head = nn.Sequential(head_of(loss, class_weight=torch.rand(CLASSES))).to(cast)[0]
    assert head.weight.dtype == cast
    wide = torch.promote_types(cast, torch.float32)
    assert {one.dtype for one in head.buffers() if one.is_floating_point()} == {wide}


def test_a_running_mean_and_a_count_move_in_a_half_precision_head():
    head = head_of("curricularface").half()
    for _ in range(300):  # each sample on its own class
        head(head.weight.detach().clone(), torch.arange(CLASSES))
    assert head.level.item() == pytest.approx(1 - 0.99**300, abs=1e-3)
    head = head_of("kappaface").bfloat16()
    for _ in range(30):
        head(batch(torch.bfloat16)[0], torch.zeros(12, dtype=torch.int64))
    assert head.seen[0] == 360


@OF_TORCH
@pytest.mark.parametrize("many", [1, 10])
def test_kept_margins_and_means_are_those_of_the_formula_under_a_compiler(many):
    """The centres of before the batch, with inductor, whose backward may read a table again."""
    torch.compiler.reset()
    loss = losses.center_loss(weight=1.0, rate=0.5, bias=False)
    head, plain = (head_of(loss, dtype=torch.float64) for _ in range(2))
    fast = torch.compile(head, backend="aot_eager" if many == 1 else "inductor")
    for _ in range(2):
        x, labels = batch(torch.float64)
        a, b = (x[:many].clone().requires_grad_() for _ in range(2))
        fast(a, labels[:many]).backward()
        plain(b, labels[:many]).backward()
        torch.testing.assert_close(a.grad, b.grad)
        torch.testing.assert_close(head.class_means, plain.class_means)


@OF_TORCH
@pytest.mark.parametrize("loss", ["softmax", "arcface", "normface"])
def test_a_head_is_one_graph_that_still_refuses(loss):
    torch.compiler.reset()
    head, (x, labels) = head_of(loss), batch()
    fast = torch.compile(head, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(fast(x.requires_grad_(), labels), head(x, labels))
    with pytest.raises(ValueError, match=r"labels: 7 is out of range \[0, 6\) at row 1"):
        fast(x, labels.index_fill(0, torch.tensor([1]), 7))


def per_class(margin):
    return losses.cosface(margin=rules.PerClass([margin] * CLASSES))


OTHERS = {
    "another loss": ("arcface", "cosface", {}, "loss.target"),
    "another number in the loss": ("arcface", losses.arcface(margin=0.4), {}, "loss.target"),
    "margins of classes": (per_class(0.3), per_class(0.5), {}, "margins"),
    "counts": ("ldam", "ldam", {"class_counts": COUNTS.flip(0)}, "margins"),
    "frequencies": (
        "logit-adjustment",
        "logit-adjustment",
        {"class_counts": COUNTS + 1},
        "log_prior",
    ),
    "weights of classes": ("arcface", "arcface", {"class_weight": torch.ones(6)}, "class_weight"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_a_checkpoint_of_another_head_is_refused_by_name(case):
    old, new, more, word = OTHERS[case]
    saved = nn.ModuleDict({"head": head_of(old)}).state_dict()
    other = nn.ModuleDict(
        {"head": gonio.Head(DIM, CLASSES, new, **{"class_counts": COUNTS, **more})}
    )
    with pytest.raises(RuntimeError, match=rf"head\.fingerprint \({word}.* the checkpoint has"):
        other.load_state_dict(saved)
    told = other.load_state_dict(saved, strict=False)
    assert word in " ".join(told.unexpected_keys)


def test_a_checkpoint_of_the_same_head_is_taken():
    head = head_of("kappaface", class_weight=torch.rand(CLASSES))
    head.load_state_dict(head.state_dict())


@pytest.mark.parametrize(
    "loss", ["cosface", losses.curricularface(), losses.cosface(margin=gonio.Ramp(0.1, 0.3, 10))]
)
def test_a_loss_can_be_exchanged(loss):
    head = head_of("arcface")
    head.loss = loss
    torch.testing.assert_close(head(*batch()), head_of(loss)(*batch()))
    head.load_state_dict(head_of(loss).state_dict())


@pytest.mark.parametrize("loss", ["supcon", "sub-center-arcface", "softmax"])
def test_a_loss_with_another_weight_or_other_learned_numbers_needs_another_head(loss):
    head = head_of("arcface")
    with pytest.raises(ValueError, match=r"loss: .* build a new Head"):
        head.loss = loss
    torch.testing.assert_close(head(*batch()), head_of("arcface")(*batch()))


def test_smoothing_that_is_set_later_is_checked():
    head = head_of("arcface")
    with pytest.raises(ValueError, match="label_smoothing: 5"):
        head.label_smoothing = 5.0
    head.label_smoothing = 0.1
    wanted = head_of("arcface", label_smoothing=0.1)
    torch.testing.assert_close(head(*batch()), wanted(*batch()))
