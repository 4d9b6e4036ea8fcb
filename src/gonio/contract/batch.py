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

    def to(self, dtype: torch.dtype) -> "Batch":
        """The same numbers, rounded to what `dtype` can hold, and passed on in it."""
        weight = self.weight.to(torch.promote_types(dtype, torch.float32)).double()
        return replace(
            self, embeddings=self.embeddings.to(dtype).double(), weight=weight, dtype=dtype
        )


def random_batch(sizes: Sizes, centers: int = 1, samples: int = 24) -> Batch:
    """Samples by turns anywhere, close to their class and opposite to it; two digits each.

    Labels come in pairs, so that a loss of pairs finds some.
    """
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    labels = torch.arange(samples) // 2 % sizes.num_classes
    weight = normal(sizes.num_classes, centers, sizes.embedding_dim)
    own, kind = weight[labels, 0], torch.arange(samples)[:, None] % 3
    embeddings = normal(samples, sizes.embedding_dim)
    embeddings += torch.where(kind == 1, 4 * own, 0) - torch.where(kind == 2, 8 * own, 0)
    return Batch(embeddings.round(decimals=2), labels, weight.round(decimals=2))
