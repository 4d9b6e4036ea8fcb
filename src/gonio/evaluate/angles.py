"""How compact the identities are and how far apart they lie, as angles."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gonio.evaluate.pairs import PairList, pair_lists, tiles
from gonio.evaluate.samples import Array, Samples, prepare

CANCELLED = 1e-12  # a mean of unit vectors this short is rounding, not a direction
NO_PAIR = "no identity has two samples"
ONE_IDENTITY = "all samples are of one identity"

Vectors = NDArray[np.float64]


@dataclass(frozen=True)
class AngleSummary:
    """Statistics in degrees of `count` angles, drawn from `total` where there are more.

    All are None, with a `reason`, where there is no angle.
    """

    count: int
    total: int
    mean: float | None
    median: float | None
    percentile_5: float | None
    percentile_95: float | None
    reason: str | None = None


@dataclass(frozen=True)
class Angles:
    """Angles within and between identities.

    Attributes:
        to_own_centre: each sample to the mean direction of its identity, where that has two samples.
        genuine_pairs: two samples of one identity.
        to_nearest_centre: each identity's mean direction to the nearest other one's.
        impostor_pairs: two samples of different identities.
    """

    to_own_centre: AngleSummary
    genuine_pairs: AngleSummary
    to_nearest_centre: AngleSummary
    impostor_pairs: AngleSummary


def angles(embeddings: Array, labels: Array, *, seed: int = 0, max_pairs: int = 200_000) -> Angles:
    """Summarise the angles within and between identities.

    Args:
        embeddings: (n, dim) floating, of any length but zero.
        labels: (n,) integer identities.
        seed: of the draw of pairs.
        max_pairs: genuine pairs beyond this many are drawn with replacement; so are impostor pairs.

    Raises:
        TypeError, ValueError: arguments that cannot be used.
        DataError: embeddings that are not finite, or of length zero.
    """
    if max_pairs < 1:
        raise ValueError(f"max_pairs: got {max_pairs}; at least 1 is needed")
    samples = prepare(embeddings, labels)
    rng = np.random.default_rng(seed)
    genuine, impostor = pair_lists(samples.labels)
    own, nearest = _centre_angles(samples)
    return Angles(
        to_own_centre=own,
        genuine_pairs=_pair_angles(samples.unit, genuine, max_pairs, rng, NO_PAIR),
        to_nearest_centre=nearest,
        impostor_pairs=_pair_angles(samples.unit, impostor, max_pairs, rng, ONE_IDENTITY),
    )


def angle_between(a: Vectors, b: Vectors) -> NDArray[np.float64]:
    """Angles (n,) in radians between unit rows (n, dim), accurate near 0 and near pi (Kahan)."""
    apart, together = np.linalg.norm(a - b, axis=1), np.linalg.norm(a + b, axis=1)
    half: NDArray[np.float64] = np.arctan2(apart, together)
    return 2 * half


def _centre_angles(samples: Samples) -> tuple[AngleSummary, AngleSummary]:
    means = np.add.reduceat(samples.unit, samples.starts) / samples.sizes[:, None]
    length = np.linalg.norm(means, axis=1, keepdims=True)
    if (cancelled := length[:, 0] < CANCELLED).any():
        reason = (
            f"{cancelled.sum()} identities have embeddings that cancel out, the first with label "
            f"{samples.labels[samples.starts[cancelled.argmax()]]}: they have no mean direction"
        )
        return _summary(np.empty(0), reason), _summary(np.empty(0), reason)
    centres = means / length
    paired = np.repeat(samples.sizes >= 2, samples.sizes)
    own_centre = np.repeat(centres, samples.sizes, axis=0)
    own = angle_between(samples.unit[paired], own_centre[paired])
    nearest = (
        np.empty(0)
        if len(centres) == 1
        else angle_between(centres, centres[nearest_centres(centres)])
    )
    return _summary(own, NO_PAIR), _summary(nearest, ONE_IDENTITY)


def nearest_centres(centres: Vectors) -> NDArray[np.int64]:
    """For each of at least two unit rows, the index of the other row with the largest cosine."""
    best = np.full(len(centres), -np.inf)
    nearest = np.zeros(len(centres), np.int64)
    for rows in tiles(len(centres)):
        for columns in tiles(len(centres)):
            cosine = centres[rows] @ centres[columns].T
            if rows == columns:
                np.fill_diagonal(cosine, -np.inf)
            column = cosine.argmax(axis=1)
            highest = cosine.max(axis=1)
            better = highest > best[rows]
            nearest[rows] = np.where(better, columns.start + column, nearest[rows])
            best[rows] = np.where(better, highest, best[rows])
    return nearest


def _pair_angles(
    unit: Vectors, pairs: PairList, limit: int, rng: np.random.Generator, reason: str
) -> AngleSummary:
    blocks = [angle_between(unit[i], unit[j]) for i, j in pairs.blocks(limit, rng)]
    return replace(_summary(np.concatenate(blocks or [np.empty(0)]), reason), total=len(pairs))


def _summary(radians: NDArray[np.float64], reason: str) -> AngleSummary:
    """Of all the angles that there are, or the reason if there are none."""
    count = len(radians)
    if count == 0:
        return AngleSummary(count, count, None, None, None, None, reason)
    degrees = np.degrees(radians)
    low, median, high = np.percentile(degrees, [5, 50, 95])
    return AngleSummary(count, count, float(degrees.mean()), float(median), float(low), float(high))
