"""All pairs of samples: numbered without being stored, and scored in tiles."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gonio.evaluate.samples import Samples

TILE = 512  # samples on each side of a tile
BLOCK = 1024  # pairs gathered at once
PRECISION = "cosines computed in float64, kept in float32"

Floats = NDArray[np.floating]
Indices = NDArray[np.int64]


class PairList:
    """Pairs (i, j) of samples with i < j, numbered row by row and never stored.

    Sample i is paired with the samples first[i], first[i] + 1, ..., count[i] of them.

    >>> genuine, impostor = pair_lists(np.array([5, 5, 7]))
    >>> len(genuine), len(impostor)
    (1, 2)
    >>> impostor[np.array([0, 1])]
    (array([0, 1]), array([2, 2]))
    """

    def __init__(self, first: Indices, count: Indices) -> None:
        self._first = first
        self._ends = np.cumsum(count)
        self._shift = first - (self._ends - count)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, numbers: Indices) -> tuple[Indices, Indices]:
        rows = np.searchsorted(self._ends, numbers, side="right")
        return rows, numbers + self._shift[rows]

    def draw(self, count: int, rng: np.random.Generator) -> tuple[Indices, Indices]:
        """`count` different pairs, uniformly and in random order."""
        return self[rng.choice(len(self), count, replace=False)]

    def blocks(self, limit: int, rng: np.random.Generator) -> Iterator[tuple[Indices, Indices]]:
        """Every pair once if there are at most `limit`, else `limit` drawn with replacement."""
        total = min(len(self), limit)
        for start in range(0, total, BLOCK):
            stop = min(start + BLOCK, total)
            if total == len(self):
                yield self[np.arange(start, stop)]
            else:
                yield self[rng.integers(len(self), size=stop - start)]


def pair_lists(labels: Indices) -> tuple[PairList, PairList]:
    """The genuine and the impostor pairs of (n,) ascending labels."""
    rows = np.arange(len(labels))
    ends = np.searchsorted(labels, labels, side="right")  # one past the last of the identity
    return PairList(rows + 1, ends - rows - 1), PairList(ends, len(labels) - ends)


@dataclass(frozen=True)
class PairCounts:
    """How many pairs were scored, of how many, and by which method."""

    genuine: int
    impostor: int
    all_genuine: int
    all_impostor: int
    method: str


def score_pairs(
    samples: Samples, *, max_pairs: int, seed: int
) -> tuple[Floats, Floats, PairCounts]:
    """Genuine scores, impostor scores (both float32, unsorted), and their counts.

    Every unordered pair once if there are at most `max_pairs`; otherwise at most `max_pairs` of
    either kind, those of a kind with more drawn uniformly with replacement.
    """
    genuine, impostor = pair_lists(samples.labels)
    if len(genuine) + len(impostor) <= max_pairs:
        scores = _score_all(samples)
        method = f"all pairs; {PRECISION}"
    else:
        rng = np.random.default_rng(seed)
        scores = tuple(
            np.concatenate(
                [score_listed(samples.unit, *block) for block in pairs.blocks(max_pairs, rng)]
                or [np.empty(0, np.float32)]
            )
            for pairs in (genuine, impostor)
        )
        method = (
            f"at most {max_pairs:,} pairs of a kind, drawn with replacement by seed {seed} "
            f"where there are more; {PRECISION}"
        )
    counts = PairCounts(len(scores[0]), len(scores[1]), len(genuine), len(impostor), method)
    return scores[0], scores[1], counts


def score_listed(unit: NDArray[np.float64], i: Indices, j: Indices) -> NDArray[np.float32]:
    """Cosines (pairs,) of the listed pairs of rows of `unit` (n, dim)."""
    cosine: NDArray[np.float64] = np.einsum("nd,nd->n", unit[i], unit[j])
    return cosine.astype(np.float32)


def _score_all(samples: Samples) -> tuple[Floats, ...]:
    # Rounding float64 to float32 makes equal pairs tie exactly wherever they lie in a tile.
    found: tuple[list[Floats], list[Floats]] = ([], [])
    for rows in tiles(len(samples.labels)):
        for columns in tiles(len(samples.labels), start=rows.start):
            cosine = (samples.unit[rows] @ samples.unit[columns].T).astype(np.float32)
            same = samples.labels[rows, None] == samples.labels[columns]
            listed = np.triu(np.ones_like(same), k=1 + rows.start - columns.start)
            found[0].append(cosine[listed & same])
            found[1].append(cosine[listed & ~same])
    return tuple(np.concatenate(pieces) for pieces in found)


def tiles(stop: int, start: int = 0) -> Iterator[slice]:
    """Slices of at most `TILE` that cover start, ..., stop - 1."""
    return (slice(first, min(first + TILE, stop)) for first in range(start, stop, TILE))
