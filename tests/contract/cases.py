"""What the contract is held against: every row at its defaults, and the settings that change its form.

A new row of the table needs one function in `golden.py`; all the rest follows.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from contract import golden
from gonio import losses
from gonio.equation import Loss
from gonio.head import Head
from gonio.negatives import Chunked, reference

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
]
"""Rows at other settings; the gradient mode has tests of its own."""


@dataclass(frozen=True)
class Case:
    """A loss, and the formula it claims to be."""

    id: str
    loss: Loss
    formula: Callable[..., float]

    @property
    def scales_with_norm(self) -> bool:
        """Whether the norm of the embedding changes the loss."""
        return not self.loss.score.unit_embedding or self.loss.scale.__class__.__name__ == (
            "FeatureNorm"
        )


def case(name: str, settings: dict[str, object]) -> Case:
    formula = getattr(golden, name.replace("-", "_"))
    label = name + "".join(f",{key}={value}" for key, value in settings.items())
    return Case(
        label,
        losses.get(name).loss(**settings),
        lambda *args: formula(*args, **settings),
    )


CASES = [case(name, settings) for name, settings in [(n, {}) for n in losses.names()] + VARIANTS]
BACKENDS = {
    "reference": reference,
    "tile=1": Chunked(1),
    "tile=7": Chunked(7),
    "tile=classes+1": Chunked(24),
}


@dataclass(frozen=True)
class Batch:
    """Random embeddings, weight, bias and labels for a head."""

    embeddings: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor
    labels: torch.Tensor

    def head(self, loss: Loss, backend: object, dtype: torch.dtype = torch.float64) -> Head:
        """A head with this batch's weight, at step 0 (its schedules do not advance)."""
        classes, dim = self.weight.shape
        head = Head(dim, classes, loss, backend=backend, dtype=dtype).eval()
        with torch.no_grad():
            head.weight.copy_(self.weight)
            if head.bias is not None:
                head.bias.copy_(self.bias)
        return head

    def to(self, dtype: torch.dtype) -> "Batch":
        return replace(self, embeddings=self.embeddings.to(dtype))


def batch(seed: int = 0, size: int = 9, classes: int = 23, dim: int = 5) -> Batch:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    labels = torch.randint(0, classes, (size,), generator=generator)
    return Batch(1.3 * normal(size, dim), 0.8 * normal(classes, dim), normal(classes), labels)


def losses_and_gradients(head: Head, made: Batch) -> dict[str, torch.Tensor]:
    """(batch,) losses, and the gradient of their sum in everything that learns."""
    embeddings = made.embeddings.clone().requires_grad_()
    per_sample = head(embeddings, made.labels, reduction="none")
    per_sample.sum().backward()
    found = {"loss": per_sample.detach(), "embeddings": embeddings.grad}
    return found | {name: parameter.grad for name, parameter in head.named_parameters()}
