"""Who is measured: forward and backward of one loss, or of the whole step, on the same data."""

import functools
import gc
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import gonio
from gonio.engines import Chunked, Fused
from gonio.engines.workspace import Workspace

MARGIN, SCALE = 0.5, 64.0
FLOAT = 4
"""Bytes."""


@dataclass(frozen=True)
class Case:
    """A batch against all classes."""

    classes: int
    dim: int
    batch: int
    device: str = "cpu"
    dtype: str = "float32"

    @property
    def kind(self) -> torch.dtype:
        """Of weight and embeddings."""
        kind: torch.dtype = getattr(torch, self.dtype)
        return kind

    def make(self) -> "Given":
        """The numbers, the same each time."""
        torch.manual_seed(0)
        new: Any = {"device": self.device, "dtype": self.kind}
        weight = torch.randn(self.classes, self.dim, **new)
        x = torch.randn(self.batch, self.dim, **new)
        labels = torch.randint(0, self.classes, (self.batch,), device=self.device)
        return Given(self, weight, x, labels)


@dataclass(frozen=True)
class Given:
    """The numbers of a case. All contenders share one weight."""

    case: Case
    weight: Tensor
    x: Tensor
    labels: Tensor


Step = Callable[[], dict[str, Tensor]]
"""One measured call -> what it computed: loss and gradients, where there are any."""


@dataclass(frozen=True)
class Contender:
    """Somebody who computes.

    Args:
        make: from the numbers to the call that is measured.
        has: of what it must hold by its kind, in bytes for a case: gradient, products kept, momentum.
        is_arcface: whether its loss is the one of the others.
        has_memory: whether its memory is its own, and not made before.
        is_warmed_up: whether its first call does what later ones do not: compile, keep memory.
        needs: a module that must be there.
        needs_gpu: whether it is for GPUs alone.
    """

    make: Callable[[Given], Step]
    has: Callable[[Case], float]
    is_arcface: bool = True
    has_memory: bool = True
    is_warmed_up: bool = True
    needs: str = "torch"
    needs_gpu: bool = False

    def missing(self, device: str) -> str | None:
        """What it lacks to run there."""
        if self.needs_gpu and device == "cpu":
            return "for GPUs alone"
        return None if find_spec(self.needs) else f"{self.needs} is not installed"


def gradient(case: Case) -> float:
    return float(case.kind.itemsize * case.classes * case.dim)


def matrix(case: Case) -> float:
    return FLOAT * case.classes * case.batch


def nothing(_: Case) -> float:
    return 0.0


@functools.cache
def floor_memory(case: Case) -> tuple[Tensor, Tensor, Tensor]:
    """For the scores and both gradients."""
    weight = torch.zeros(case.classes, case.dim, device=case.device, dtype=case.kind)
    return (
        weight.new_zeros(case.batch, case.classes),
        weight.new_zeros(case.batch, case.dim),
        weight,
    )


def products(given: Given, times: int) -> Step:
    """The bare matrix products of a step, into memory that is there already."""
    x, weight = given.x, given.weight
    scores, dx, dw = floor_memory(given.case)

    def step() -> dict[str, Tensor]:
        for _ in range(times - 2):
            torch.mm(x, weight.T, out=scores)
        torch.mm(scores, weight, out=dx)
        torch.mm(scores.T, x, out=dw)
        return {}

    return step


def of_module(loss: Callable[..., Tensor], given: Given, weight: nn.Parameter) -> Step:
    """Forward and backward of (embeddings, labels) -> loss."""

    def step() -> dict[str, Tensor]:
        x = given.x.clone().requires_grad_()
        value = loss(x, given.labels)
        value.backward()
        found = {"loss": value.detach(), "embeddings": x.grad}
        if weight.grad is not None:
            found["weight"], weight.grad = weight.grad, None
        return found

    return step


@functools.cache
def workspace() -> Workspace:
    """The memory that ours use in turn: what a single head would keep between its steps."""
    return Workspace()


def head_of(given: Given, backend: Chunked) -> gonio.Head:
    """A head over the shared weight."""
    case = given.case
    with torch.device("meta"):
        head = gonio.Head(
            case.dim,
            case.classes,
            loss=gonio.losses.arcface(margin=MARGIN, scale=SCALE),
            backend=backend,
        )
    head = head.to_empty(device=case.device)
    head.workspace = workspace()
    head.weight = nn.Parameter(given.weight)
    head.step.zero_()
    return head


def ours(given: Given, kind: type[Chunked] = Chunked, **settings: Any) -> Step:
    head = head_of(given, kind(**settings))
    return of_module(head, given, head.weight)


def trained(given: Given, **settings: Any) -> Step:
    """The whole step with stochastic gradient descent and momentum, attached."""
    head = head_of(given, Chunked(**settings))
    optimizer = torch.optim.SGD(head.parameters(), lr=1e-3, momentum=0.9)
    head.attach_optimizer(optimizer)

    def step() -> dict[str, Tensor]:
        x = given.x.clone().requires_grad_()
        head(x, given.labels).backward()
        optimizer.step()
        optimizer.zero_grad()
        return {}

    return step


class Eager(nn.Module):
    """ArcFace as it is usually written."""

    def __init__(self, weight: nn.Parameter) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        cosine = F.linear(F.normalize(x), F.normalize(self.weight))
        own = cosine.gather(1, labels[:, None])
        angle = own.clamp(-1 + 1e-7, 1 - 1e-7).acos() + MARGIN
        # past pi the target goes on falling
        target = torch.where(angle > torch.pi, -2 - angle.cos(), angle.cos())
        return F.cross_entropy(SCALE * cosine.scatter(1, labels[:, None], target), labels)


def eager(given: Given, *, is_compiled: bool = False) -> Step:
    module = Eager(nn.Parameter(given.weight))
    weight = module.weight
    return of_module(torch.compile(module) if is_compiled else module, given, weight)


def metric_learning(given: Given) -> Step:
    from pytorch_metric_learning.losses import ArcFaceLoss

    case = given.case
    degrees = MARGIN * 180 / torch.pi
    loss = ArcFaceLoss(case.classes, case.dim, margin=degrees, scale=SCALE).to(case.device)
    loss.W.data = given.weight.T.contiguous()
    return of_module(loss, given, loss.W)


def linear_cross_entropy(given: Given) -> Step:
    weight = nn.Parameter(given.weight)
    return of_module(lambda x, labels: F.linear_cross_entropy(x, weight, labels), given, weight)


def cut_cross_entropy(given: Given) -> Step:
    from cut_cross_entropy import linear_cross_entropy

    weight = nn.Parameter(given.weight)
    return of_module(lambda x, labels: linear_cross_entropy(x, weight, labels), given, weight)


def liger(given: Given) -> Step:
    from liger_kernel.transformers import LigerFusedLinearCrossEntropyLoss

    loss, weight = LigerFusedLinearCrossEntropyLoss(), nn.Parameter(given.weight)
    return of_module(lambda x, labels: loss(weight, x, labels), given, weight)


def _fused(mode: str) -> Contender:
    return Contender(
        functools.partial(ours, kind=Fused, mode=mode, precision="bf16"),
        lambda case: gradient(case) + kept(case, mode, "bf16"),
        needs="triton",
        needs_gpu=True,
    )


def _mark(make: Callable[[Given], Step], needs: str) -> Contender:
    return Contender(make, gradient, is_arcface=False, needs=needs, needs_gpu=True)


def kept(case: Case, mode: str, precision: str) -> float:
    """Bytes of the products that a mode keeps."""
    if mode == "recompute":
        return 0.0
    return matrix(case) if precision == "fp32" else matrix(case) / 2


def _ours(mode: str, precision: str) -> Contender:
    return Contender(
        functools.partial(ours, mode=mode, precision=precision),
        lambda case: gradient(case) + kept(case, mode, precision),
    )


def _trained(mode: str, precision: str) -> Contender:
    return Contender(
        functools.partial(trained, mode=mode, precision=precision),
        lambda case: gradient(case) + kept(case, mode, precision),  # as large is the momentum
        is_arcface=False,
    )


FLOOR = "3 products"

CONTENDERS = {
    FLOOR: Contender(lambda given: products(given, 3), nothing, is_arcface=False, has_memory=False),
    "4 products": Contender(
        lambda given: products(given, 4), nothing, is_arcface=False, has_memory=False
    ),
    "stash": _ours("stash", "fp32"),
    "recompute": _ours("recompute", "fp32"),
    "stash, bf16": _ours("stash", "bf16"),
    "recompute, bf16": _ours("recompute", "bf16"),
    "stash + attached SGD": _trained("stash", "fp32"),
    "recompute + attached SGD": _trained("recompute", "fp32"),
    "stash, bf16 + attached SGD": _trained("stash", "bf16"),
    "plain eager": Contender(eager, gradient, is_warmed_up=False),
    "torch.compile of it": Contender(functools.partial(eager, is_compiled=True), gradient),
    "pytorch-metric-learning": Contender(
        metric_learning, gradient, is_warmed_up=False, needs="pytorch_metric_learning"
    ),
    "F.linear_cross_entropy": Contender(
        linear_cross_entropy, gradient, is_arcface=False, is_warmed_up=False
    ),
    "kernels, stash, bf16": _fused("stash"),
    "kernels, recompute, bf16": _fused("recompute"),
    "cut-cross-entropy": _mark(cut_cross_entropy, "cut_cross_entropy"),
    "Liger": _mark(liger, "liger_kernel"),
}


def release() -> None:
    """Let go of what the last call left, beside the memory that `workspace` and the floor keep."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
