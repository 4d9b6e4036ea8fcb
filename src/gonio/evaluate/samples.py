"""Embeddings and labels, checked and put into one order, so that no number depends on theirs."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gonio.base.checks import describe
from gonio.base.errors import DataError

Array = Tensor | NDArray[Any]


@dataclass(frozen=True)
class Samples:
    """Unit embeddings sorted by label, then along one direction.

    The order is the same for every order they came in, and no last bit of an embedding changes it.

    Attributes:
        unit: (n, dim) float64, rows of length 1.
        labels: (n,) int64, ascending.
        starts: (identities,) int64, the first row of each identity.
    """

    unit: NDArray[np.float64]
    labels: NDArray[np.int64]
    starts: NDArray[np.int64]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """How many samples each identity has, (identities,)."""
        return np.diff(self.starts, append=len(self.labels))


def prepare(embeddings: Array, labels: Array) -> Samples:
    """Check, normalise and sort.

    Args:
        embeddings: (n, dim) floating, any length but zero.
        labels: (n,) integers: who is on the sample.

    Raises:
        TypeError: embeddings that are not floating, labels that are not integers.
        ValueError: shapes that do not go together, or no sample at all.
        DataError: embeddings that are not finite, or of length zero.
    """
    vectors, names = torch.as_tensor(embeddings).detach(), torch.as_tensor(labels).detach()
    _check_shapes(vectors, names)
    unit = _normalised(vectors.cpu().double().numpy())
    identities = names.cpu().long().numpy()
    direction = np.random.default_rng(0).normal(size=unit.shape[1])
    order = np.lexsort(((unit * direction).sum(axis=1), identities))
    ordered = identities[order]
    return Samples(unit[order], ordered, np.unique(ordered, return_index=True)[1])


def _check_shapes(embeddings: Tensor, labels: Tensor) -> None:
    if not embeddings.is_floating_point():
        raise TypeError(f"embeddings: {describe(embeddings)} are not floating point numbers")
    if embeddings.ndim != 2 or 0 in embeddings.shape:
        raise ValueError(
            f"embeddings: got {describe(embeddings)}; the shape must be [n, dim], both at least 1"
        )
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise TypeError(
            f"labels: {describe(labels)} are not identities; pass integers, such as labels.long()"
        )
    if labels.shape != embeddings.shape[:1]:
        raise ValueError(
            f"labels: {describe(labels)} does not match embeddings {describe(embeddings)}; "
            f"one label for each row is needed, shape [{len(embeddings)}]"
        )


def _normalised(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    _refuse(np.any(~np.isfinite(vectors), axis=1), "hold NaN or infinity")
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    _refuse(largest[:, 0] == 0, "are all zeros and have no direction")
    scaled = vectors / largest  # squares of what is left can neither overflow nor vanish
    return np.ascontiguousarray(scaled / np.sqrt((scaled * scaled).sum(axis=1, keepdims=True)))


def _refuse(wrong: NDArray[np.bool_], fault: str) -> None:
    if wrong.any():
        raise DataError(
            f"embeddings: {wrong.sum()} of {len(wrong)} {fault}, the first at index "
            f"{wrong.argmax()}; mend the model that made them or leave these samples out"
        )
