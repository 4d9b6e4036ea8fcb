"""What the contract is held against: every row at its defaults, and the settings that change its form.

A new row of the table needs one function in `golden/`; all the rest follows.
"""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec

import pytest
import torch

from contract import golden
from gonio import losses
from gonio.contract import PRIMES, Layout, Sizes, Subject, of_loss
from gonio.engines import Chunked, Fused, Reference
from gonio.head import Head
from gonio.loss import Loss

VARIANTS = [
    ("softmax", {"bias": False}),
    ("hinge", {"temperature": 0.7, "scale": 4.0}),
    ("hinge", {"margin": 1.0, "scale": 1.0, "score": "inner"}),
    ("hinge", {"temperature": 0.7, "scale": "learned"}),
    ("max-hinge", {"margin": 1.0, "scale": 1.0, "score": "inner"}),
    ("lse-hinge", {"temperature": 3.0}),
    ("softplus-lse", {"temperature": 0.3, "scale": 5.0}),
    ("softplus-lse", {"margin": 0.0, "scale": 1.0, "score": "inner"}),
    ("normface", {"scale": 16.0}),
    ("normface", {"scale": "auto"}),
    ("arcface", {"scale": 8.0, "margin": 1.2}),
    ("arcface", {"scale": 8.0, "margin": 1.2, "past_pi": "line"}),
    ("arcface", {"scale": 8.0, "margin": 1.2, "past_pi": "shift"}),
    ("arcface", {"scale": 8.0, "margin": 1.2, "past_pi": "raw"}),
    ("arcface", {"scale": 8.0, "margin": 1.2, "past_pi": "easy"}),
    ("arcface", {"scale": 8.0, "margin": 1.2, "past_pi": "clamp"}),
    ("arcface", {"scale": 8.0, "margin": -0.4}),
    ("arcface", {"scale": "learned"}),
    ("combined", {"m1": 1.35, "m2": 0.4, "m3": 0.15, "scale": 8.0}),
    ("combined", {"m1": 0.9, "m2": 0.4, "m3": 0.15, "scale": 8.0}),
    ("l-softmax", {"margin": 2.0, "annealing": 0.0}),
    ("l-softmax", {"margin": 3.5, "annealing": 1.0}),
    ("sphereface", {"margin": 4.0, "annealing": 0.0}),
    ("sphereface", {"margin": 1.35, "annealing": 0.0}),
    ("sphereface-r", {"version": "v0", "gradient": "exact"}),
    ("sphereface-r", {"version": "v1", "gradient": "exact"}),
    ("sphereface-r", {"version": "v2", "gradient": "exact"}),
    ("adacos", {"mode": "fixed"}),
    ("adaface", {"gradient": "exact", "scale": 8.0}),
    ("adaface", {"past_pi": "clamp", "margin": 1.2, "scale": 8.0}),
    ("magface", {"norm_low": 1.0, "norm_high": 4.0, "scale": 8.0}),
    ("mv-am-softmax", {"mode": "fixed", "scale": 8.0}),
    ("arcnegface", {"gradient": "detached", "scale": 8.0}),
    ("npcface", {"slope": 0.6, "hard_margin": -0.4, "scale": 8.0}),
    ("circle", {"gradient": "exact", "scale": 8.0}),
    ("filtered-cosface", {"mode": "zero", "above": 0.2, "scale": 8.0}),
    ("filtered-cosface", {"above": -0.1, "scale": 8.0}),
    ("filtered-cosface", {"above": 0.1, "scale": "learned"}),
    ("focal", {"gamma": 0.0}),
    ("sphereface2", {"weight": 0.99, "scale": 8.0}),
    ("hm-softmax", {"keep": 0.5}),
    ("proxy-nca", {"denominator": "all", "scale": 8.0}),
    ("inter-topk", {"k": 2, "penalty": 0.4, "centers": 2, "scale": 8.0}),
    ("soft-triple", {"centers": 3, "temperature": 1.0}),
    ("sphereface2", {"kind": "A", "scale": 8.0}),
    ("sphereface2", {"gradient": "detached", "scale": 8.0}),
]
"""Rows at other settings."""


class Formula(torch.nn.Module):
    """An independent formula as a loss, which gives the loss of each sample."""

    def __init__(self, sizes: Sizes, centers: int, formula: Callable[..., float]) -> None:
        super().__init__()
        classes, dim = sizes
        shape = (classes, centers, dim) if centers > 1 else (classes, dim)
        self.weight = torch.nn.Parameter(torch.zeros(shape))
        self.bias = torch.nn.Parameter(torch.zeros(classes))
        self.formula, self.asked = formula, inspect.signature(formula).parameters

    def forward(self, embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        parts = (embeddings, labels, self.weight, self.bias, counts(len(self.weight)))
        x, y, w, b, n = (part.detach().numpy() for part in parts)
        found = []
        for i in range(len(x)):
            more = {"counts": n, "batch": (x, y, i)}
            more = {name: value for name, value in more.items() if name in self.asked}
            found.append(self.formula(x[i], w, b, y[i], **more))
        return embeddings.new_tensor(found)


def counts(classes: int) -> torch.Tensor:
    """Training samples of each class."""
    return (1.0 + torch.arange(classes)).roll(2)


@dataclass(frozen=True)
class Case:
    """A loss, and the formula it claims to be."""

    id: str
    loss: Loss
    formula: Callable[..., float]

    def subject(self, backend: object = "reference") -> Subject:
        """A head with the loss, which claims to be the formula to every digit that it keeps."""
        ours = of_loss(self.id, self.loss, backend, counts)
        make = functools.partial(Formula, centers=self.loss.score.centers, formula=self.formula)
        layout = Layout.of(make(PRIMES), PRIMES) if self.has_weight else None
        # an arccosine keeps 1e-12 at 1e-4 from a pole, and a scale of 64 multiplies it
        return ours.claims(Subject(f"{self.id} by its formula", make, layout), to=1e-9)

    @property
    def has_weight(self) -> bool:
        """Whether there are class weights at all."""
        return self.loss.pairing.against != "batch"

    def batch(self, *args: int, **kwargs: int) -> "Batch":
        """A batch in which, where samples are compared with each other, some share a label."""
        made = batch(*args, **kwargs)
        return made if self.has_weight else replace(made, labels=made.labels % 3)


def case(name: str, settings: dict[str, object]) -> Case:
    formula = getattr(golden, name.replace("-", "_"))
    label = name + "".join(f",{key}={value}" for key, value in settings.items())
    return Case(
        label,
        losses.get(name).loss(**settings),
        functools.partial(formula, **settings),
    )


CASES = [case(name, settings) for name, settings in [(n, {}) for n in losses.names()] + VARIANTS]
BACKENDS = {
    "reference": Reference(),
    "tile=1,stash": Chunked(1, mode="stash"),
    "tile=7,recompute": Chunked(7, mode="recompute"),
    "tile=classes+1,stash": Chunked(24, mode="stash"),
}
MODES = ("stash", "recompute") if find_spec("triton") else ()
KERNELS = {f"fused,{mode}": Fused(20, mode=mode) for mode in MODES}
"""Backends that run float32 by kernels, and other dtypes as `Chunked`."""
WITH_KERNELS = [
    # numpy, which the interpreter of kernels computes with, warns where a GPU goes on
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:backend. Fused runs as Chunked:UserWarning"),
]
"""Marks of tests that run them."""


CENTERS = 10
"""The most centres that any row has at its defaults."""


@dataclass(frozen=True)
class Batch:
    """Random embeddings, weight (of several centres), bias, labels and class counts for a head."""

    embeddings: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor
    labels: torch.Tensor
    counts: torch.Tensor

    def shaped(self, loss: Loss) -> torch.Tensor:
        """The weight as the loss has it: with as many centres."""
        centers = self.weight[:, : loss.score.centers]
        return centers if loss.score.centers > 1 else centers[:, 0]

    def head(self, loss: Loss, backend: object, dtype: torch.dtype = torch.float64) -> Head:
        """A head with this batch's weight, at step 0 (its schedules do not advance)."""
        classes, _, dim = self.weight.shape
        head = Head(
            dim, classes, loss, backend=backend, dtype=dtype, class_counts=self.counts
        ).eval()
        with torch.no_grad():
            if head.weight is not None:
                head.weight.copy_(self.shaped(loss))
            if hasattr(head, "bias"):
                head.bias.copy_(self.bias)
        return head

    def to(self, dtype: torch.dtype) -> "Batch":
        return replace(self, embeddings=self.embeddings.to(dtype))


def batch(seed: int = 0, size: int = 9, classes: int = 23, dim: int = 5) -> Batch:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    labels = torch.randint(0, classes, (size,), generator=generator)
    embeddings, weight = 1.3 * normal(size, dim), 0.8 * normal(classes, CENTERS, dim)
    return Batch(embeddings, weight, normal(classes), labels, counts(classes))


def losses_and_gradients(head: Head, made: Batch) -> dict[str, torch.Tensor]:
    """(batch,) losses, and the gradient of their sum in everything that learns."""
    embeddings = made.embeddings.clone().requires_grad_()
    per_sample = head(embeddings, made.labels, reduction="none")
    per_sample.sum().backward()
    found = {"loss": per_sample.detach(), "embeddings": embeddings.grad}
    return found | {name: parameter.grad for name, parameter in head.named_parameters()}
