"""The Triton backend against the reference: under Triton's interpreter, or on a GPU where there is one."""

import math
import re
import warnings
from dataclasses import dataclass, replace

import pytest
import torch

pytest.importorskip("triton", reason="there is no triton")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

import gonio  # noqa: E402
from contract.cases import CASES, WITH_KERNELS, losses_and_gradients  # noqa: E402
from gonio import losses  # noqa: E402
from gonio.engines import Chunked, Fused, Reference  # noqa: E402
from gonio.engines.seam import Held, Query  # noqa: E402
from gonio.engines.triton import launch, printed  # noqa: E402
from gonio.engines.triton.fused import _warn_once  # noqa: E402
from gonio.engines.triton.printed import _traced as trace  # noqa: E402
from gonio.engines.workspace import Workspace  # noqa: E402
from gonio.rules import (  # noqa: E402
    COSINE,
    Boost,
    Chain,
    Difference,
    KthLargest,
    LinearAngleNegative,
    LogSumExp,
    SoftplusSum,
    Subtract,
)
from gonio.rules.facts import Sample  # noqa: E402
from gonio.rules.number import resolved  # noqa: E402

pytestmark = WITH_KERNELS


def gradients(head, embeddings, labels, **keywords):
    head, x = head.to(DEVICE), embeddings.to(DEVICE).requires_grad_()
    loss = head(x, labels.to(DEVICE), **keywords)
    loss.sum().backward()
    found = {"loss": loss.detach(), "embeddings": x.grad}
    return found | {name: parameter.grad for name, parameter in head.named_parameters()}


def assert_close(found, truth, tolerance):
    for name, value in truth.items():
        error = (found[name].double().cpu() - value.cpu()).abs().amax()
        assert error <= tolerance * (1 + value.abs().amax()), f"{name}: {error}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_every_row_is_the_reference(case):
    for sizes, mode in (((9, 23, 5), "stash"), ((2, 30, 3), "recompute")):
        made = case.batch(2, *sizes)
        truth = losses_and_gradients(made.head(case.loss, Reference()), made)
        backend = Fused(20, mode=mode)
        head = made.head(case.loss, backend, torch.float32)
        found = gradients(head, made.embeddings.float(), made.labels, reduction="none")
        # float32 rounds scores of up to 64 to 4e-6, and everything else is proportional to that
        assert_close(found, truth, 2e-5)


def test_memory_that_is_not_in_order():
    x, labels = batch()
    wide, weight = torch.cat([x, x], dim=1), torch.randn(70, 150)
    heads = [head_of(backend, "softmax") for backend in (Fused(64), "reference")]
    for head in heads:
        head.weight = torch.nn.Parameter(weight.T)
    found, truth = (gradients(head, wide[:, :70], labels) for head in heads)
    assert_close(found, {name: value.double() for name, value in truth.items()}, 2e-5)


def test_a_scheduled_number_is_an_argument_of_one_kernel():
    loss = losses.get("circle").loss(margin=gonio.Ramp(0.0, 0.4, 5), scale=8.0)
    x, labels = batch(size=20)
    found, truth = (head_of(backend, loss) for backend in (Fused(64), Reference()))
    kernels = launch._compiled_rule.cache_info().misses
    for _ in range(4):
        assert_close(gradients(found, x.clone(), labels), gradients(truth, x.clone(), labels), 2e-5)
        for head in (found, truth):
            head.zero_grad()
    assert int(found.step) == 4
    assert launch._compiled_rule.cache_info().misses <= kernels + 1


@dataclass(frozen=True)
class Turned:
    """A rule that needs its setting as a number of Python."""

    angle: object

    def __call__(self, cosine, sample):
        return cosine * math.cos(resolved(self.angle))


def test_a_rule_that_cannot_be_traced_runs_chunked_and_says_so_once(monkeypatch):
    loss = replace(losses.cosface(scale=8.0), negative=Turned(gonio.Ramp(0.0, 0.4, 5)))
    x, labels = batch(size=20)
    head, truth = (head_of(backend, loss) for backend in (Fused(64), Chunked(64)))
    traced = []
    monkeypatch.setattr(printed, "_traced", lambda *rule: traced.append(rule) or trace(*rule))
    _warn_once.cache_clear()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", UserWarning)
        for _ in range(3):
            for one in (head, truth):
                one.zero_grad()
            found = gradients(head, x.clone(), labels)
            for name, value in gradients(truth, x.clone(), labels).items():
                assert torch.equal(found[name], value)
    (warning,) = [one for one in seen if issubclass(one.category, UserWarning)]
    assert "Fused runs as Chunked does for Turned(angle=Hole(index=0)): it cannot be traced" in str(
        warning.message
    )
    assert len(traced) == 1


def test_an_empty_batch_costs_nothing():
    head = head_of(Fused(64)).to(DEVICE)
    loss = head(torch.zeros(0, 70, device=DEVICE), torch.zeros(0, dtype=torch.int64, device=DEVICE))
    assert loss.item() == 0


def test_labels_of_columns():
    torch.manual_seed(0)
    x, labels = torch.randn(20, 5), torch.arange(20) % 4
    for name in ("supcon", "nt-xent"):
        loss = losses.get(name).loss()
        made = [
            gonio.Head(5, 4, loss=loss, backend=one).to(DEVICE) for one in (Fused(), Reference())
        ]
        found, truth = (gradients(head, x.clone(), labels) for head in made)
        assert_close(found, {key: value.double() for key, value in truth.items()}, 2e-5)


def head_of(backend, loss="arcface", classes=150, dim=70, dtype=torch.float32, **keywords):
    torch.manual_seed(0)
    return gonio.Head(dim, classes, loss=loss, backend=backend, dtype=dtype, **keywords)


def batch(size=70, classes=150, dim=70):
    torch.manual_seed(1)
    return torch.randn(size, dim), torch.randint(0, classes, (size,))


@pytest.mark.parametrize("mode", ["stash", "recompute"])
@pytest.mark.parametrize("tile", [150, 64, 33])
def test_sizes_that_no_block_divides(mode, tile):
    x, labels = batch()
    truth = gradients(head_of("reference").double(), x.double(), labels)
    assert_close(gradients(head_of(Fused(tile, mode=mode)), x, labels), truth, 2e-5)


@pytest.mark.parametrize(
    "name", ["softmax", "arcface", "max-hinge", "hinge", "sphereface2", "npcface"]
)
def test_programs_that_see_several_blocks_of_classes(name, monkeypatch):
    monkeypatch.setattr(launch, "PROGRAMS", 1)
    x, labels = batch(size=20)
    truth = gradients(head_of("reference", name).double(), x.double(), labels)
    assert_close(gradients(head_of(Fused(), name), x, labels), truth, 2e-5)


def test_two_runs_have_the_same_bits():
    x, labels = batch()
    first, second = (gradients(head_of(Fused(64)), x.clone(), labels) for _ in range(2))
    for name, value in first.items():
        assert torch.equal(value, second[name])


@pytest.mark.parametrize("mode", ["stash", "recompute"])
def test_bfloat16_products_are_right_to_their_digits(mode):
    x, labels = batch()
    loss = losses.arcface(scale=8.0)
    truth = gradients(head_of("reference", loss).double(), x.double(), labels)
    found = gradients(head_of(Fused(64, mode=mode, precision="bf16"), loss), x, labels)
    # operands and kept products are rounded to 2^-9 of their size, and scores of up to 8 with them
    assert_close(found, truth, 2**-6)


@pytest.mark.parametrize("mode", ["stash", "recompute"])
def test_a_maximum_is_found_again_in_backward(mode):
    """Its slope asks for equality, to the bit, of a score and what forward made of it."""
    x, labels = batch(size=20)
    backend = Fused(64, mode=mode, precision="bf16")
    loss = losses.normface(scale=8.0)
    loss = replace(loss, pool=LogSumExp(temperature=0.0), penalty=Difference())
    found = gradients(head_of(backend, loss), x, labels)
    truth = gradients(head_of(Chunked(64, precision="bf16"), loss), x, labels)
    assert_close(found, truth, 2**-6)


def pool_of(backend, rule, pool):
    """The pool over 400 classes of a rule of cosines, for one sample."""
    torch.manual_seed(3)
    x, weight = torch.eye(1, 8, device=DEVICE), torch.randn(400, 8, device=DEVICE)
    one = torch.ones(1, device=DEVICE)
    labels = torch.zeros(1, 1, dtype=torch.int64, device=DEVICE)
    query = Query(x, Sample(one, one, one, one, one), labels, rule, pool, COSINE)
    return backend(query, Held(weight), Workspace())


def test_many_small_terms_are_not_lost():
    """log(1 + e^-17) is 4e-8, which 1 + e^-17 rounds away in float32."""
    found, truth = (
        pool_of(backend, Subtract(17.0), SoftplusSum()) for backend in (Fused(), Chunked())
    )
    torch.testing.assert_close(found, truth, rtol=1e-5, atol=0)


@pytest.mark.parametrize("cosine", [-1.0, -0.99999, -0.5, 0.0, 0.3, 0.5, 0.99999, 1.0])
def test_the_arccosine_of_kernels(cosine):
    rule = Chain(Stay(cosine), LinearAngleNegative())
    found, truth = (
        pool_of(one, rule, LogSumExp(temperature=0.0)) for one in (Fused(), Reference())
    )
    # 3e-7 in the angle, and the last digit of the score
    torch.testing.assert_close(found, truth, rtol=0, atol=4e-7)


@dataclass(frozen=True)
class Stay:
    """The same cosine whatever comes."""

    cosine: float

    def __call__(self, cosine, sample):
        return cosine * 0 + self.cosine


@dataclass(frozen=True)
class Brittle:
    """A rule that is not finite at a norm or a cosine of 0."""

    def __call__(self, cosine, sample):
        return cosine / sample.norm + 1e-12 * sample.norm / cosine


def test_what_fills_up_a_block_reaches_nothing():
    x, labels = batch(size=20)
    loss = replace(losses.cosface(scale=8.0), negative=Brittle())
    truth = gradients(head_of("reference", loss).double(), x.double(), labels)
    assert_close(gradients(head_of(Fused(), loss), x, labels), truth, 2e-5)


def test_norms_at_the_ends_of_the_range():
    x, labels = batch(size=20)
    norms = torch.tensor([1e30, 1e-30, 0.0, 1.0, 3e4]).repeat(30)[:, None]
    heads = [head_of(backend) for backend in (Fused(64), Chunked(64))]
    for head in heads:
        with torch.no_grad():
            head.weight.mul_(norms)
    found, truth = (gradients(head, x, labels) for head in heads)
    assert torch.isfinite(found["weight"]).all()
    scaled = {"weight": norms.to(DEVICE)}
    for name, value in truth.items():
        factor = scaled.get(name, 1.0)
        torch.testing.assert_close(found[name] * factor, value * factor, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_several_labels_and_smoothing(smoothing):
    x, labels = batch()
    both = torch.stack([labels, labels.roll(1)], dim=1)
    mass = torch.tensor([0.7, 0.3]).expand(70, 2)
    truth, found = (
        gradients(
            head_of(backend, label_smoothing=smoothing).to(dtype),
            x.to(dtype),
            both,
            label_mass=mass.to(DEVICE, dtype),
        )
        for backend, dtype in (("reference", torch.float64), (Fused(64), torch.float32))
    )
    assert_close(found, truth, 2e-5)


def test_an_attached_optimizer_moves_the_weight_the_same():
    x, labels = batch()
    heads = [head_of(backend) for backend in (Fused(64), Chunked(64))]
    for head in heads:
        head.to(DEVICE)
        optimizer = torch.optim.SGD(head.parameters(), lr=0.1, momentum=0.9)
        head.attach_optimizer(optimizer)
        for _ in range(2):
            optimizer.zero_grad()
            head(x.to(DEVICE), labels.to(DEVICE)).backward()
            optimizer.step()
    torch.testing.assert_close(heads[0].weight, heads[1].weight, rtol=1e-5, atol=1e-5)


@dataclass(frozen=True)
class Bent:
    """A rule that kernels have no words for."""

    def __call__(self, cosine, sample):
        return torch.special.erf(cosine)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"negative": Bent()}, r"Bent\(\): torch's '\w*erf' has no form in a kernel"),
        ({"pool": KthLargest(2)}, r"the pool KthLargest\(k=2\)"),
        ({"score": replace(losses.cosface().score, centers=2)}, "classes with several"),
    ],
)
def test_what_kernels_do_not_serve_runs_chunked_and_says_so_once(change, reason):
    loss = replace(losses.cosface(), **change)
    x, labels = batch(size=8)
    _warn_once.cache_clear()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", UserWarning)
        found = gradients(head_of(Fused(64), loss), x, labels)
        gradients(head_of(Fused(64), loss), x, labels)
    (warning,) = [one for one in seen if issubclass(one.category, UserWarning)]
    assert re.search(rf"Fused runs as Chunked does for {reason}", str(warning.message))
    truth = gradients(head_of(Chunked(64), loss), x, labels)
    for name, value in truth.items():
        assert torch.equal(found[name], value)


def test_a_wrong_slope_would_be_seen(monkeypatch):
    from gonio.engines.triton import printed

    monkeypatch.setitem(printed.FORMS, "where", "tl.where({0}, {1}, {2} * 1.01)")
    printed._printed.cache_clear()
    loss = replace(losses.cosface(scale=8.0), negative=Boost(1.3, 0.1, above=0.05))
    x, labels = batch(size=20)
    truth = gradients(head_of("reference", loss).double(), x.double(), labels)
    found = gradients(head_of(Fused(64), loss), x, labels)
    printed._printed.cache_clear()
    with pytest.raises(AssertionError):
        assert_close(found, truth, 2e-5)


def test_without_triton_it_says_what_to_install(monkeypatch):
    from gonio.engines.triton import fused

    monkeypatch.setattr(fused, "find_spec", lambda _: None)
    with pytest.raises(ModuleNotFoundError, match="Fused needs triton; pip install"):
        Fused()


def test_a_scaled_loss_keeps_its_gradient_where_all_classes_are_opposite():
    """The share of the only negative is 1, though 65,536 / e^-85 has no place in float32."""
    found = []
    for backend, dtype in ((Reference(), torch.float64), (Fused(2), torch.float32)):
        head = gonio.Head(2, 2, loss=losses.normface(scale=85.0), backend=backend, dtype=dtype)
        with torch.no_grad():
            head.weight.copy_(torch.tensor([[1.0, 0.0], [1.0, 0.1]]))
        x = torch.tensor([[-1.0, 0.05]], dtype=dtype)
        weight = torch.tensor([65_536.0])
        found.append(gradients(head, x, torch.tensor([0]), sample_weight=weight, reduction="sum"))
    assert_close(found[1], found[0], 1e-4)
