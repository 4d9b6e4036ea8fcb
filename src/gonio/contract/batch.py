"""Inputs of a loss: embeddings, labels and class weights, small enough to be read and pasted."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor


class Sizes(NamedTuple):
    """How large the inputs are."""

    num_classes: int
    embedding_dim: int


@dataclass(frozen=True)
class Batch:
    """What a loss is called with. Every number is kept in float64, however it is passed on."""

    embeddings: Tensor
    """(batch, dim)."""
    labels: Tensor
    """(batch,), int64."""
    weight: Tensor
    """(classes, centers, dim); a loss without class weights does not see it."""
    bias: Tensor
    """(classes,); a loss without one does not see it."""
    order: Tensor
    """(classes,): where a loss that was made for other numbers of the classes has each of them."""
    dtype: torch.dtype = torch.float64
    """What the embeddings are passed in; the weight is never below float32."""

    @property
    def sizes(self) -> Sizes:
        """Of the weight."""
        return Sizes(len(self.weight), self.weight.shape[-1])

    @property
    def master(self) -> torch.dtype:
        """The dtype of the weight."""
        return torch.promote_types(self.dtype, torch.float32)

    def rows(self, *rows: int) -> "Batch":
        """Some of the samples."""
        kept = list(rows)
        return replace(self, embeddings=self.embeddings[kept], labels=self.labels[kept])

    def singles(self) -> Iterator["Batch"]:
        """One sample after the other."""
        return (self.rows(row) for row in range(len(self.labels)))

    def renumbered(self, order: Tensor) -> "Batch":
        """The same samples, with the classes in another order."""
        return replace(
            self,
            labels=order.argsort()[self.labels],
            weight=self.weight[order],
            bias=self.bias[order],
            order=self.order[order],
        )

    def to(self, dtype: torch.dtype) -> "Batch":
        """The same numbers, rounded to what `dtype` can hold, and passed on in it."""
        weight = self.weight.to(torch.promote_types(dtype, torch.float32)).double()
        return replace(
            self,
            embeddings=self.embeddings.to(dtype).double(),
            weight=weight,
            bias=self.bias.to(weight.dtype),
            dtype=dtype,
        )


def random_batch(sizes: Sizes, centers: int = 1) -> Batch:
    """Samples by turns anywhere, at, beyond and opposite to their class, and at another; two digits.

    Labels come in pairs, so that a loss of pairs finds some, and every class has at least one.
    """
    classes, dim = sizes
    samples = max(24, 2 * classes)
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    labels = torch.arange(samples) // 2 % classes
    weight = normal(classes, centers, dim)
    own, other = weight[labels, 0], weight[(labels + 1) % classes, 0]
    pulls = torch.tensor([[0, 0], [4, 0], [-2, 0], [-8, 0], [0, 6]], dtype=torch.float64)
    kind = torch.arange(samples)[torch.randperm(samples, generator=generator)] % len(pulls)
    embeddings = normal(samples, dim) + pulls[kind, :1] * own + pulls[kind, 1:] * other
    return Batch(
        embeddings.round(decimals=2),
        labels,
        weight.round(decimals=2),
        normal(classes).round(decimals=2),
        torch.arange(classes),
    )
