"""What pictures need of the scores, small enough to keep: ROC curve and histogram."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gonio.evaluate.metrics import allowed_false_accepts
from gonio.evaluate.scores import Floats, Scores

ROC_POINTS = 500
HISTOGRAM_BINS = 200  # each 0.01 wide


@dataclass(frozen=True)
class RocCurve:
    """Points (FAR <= allowed / impostor, TAR = true_accepts / genuine), thinned; for pictures."""

    allowed: tuple[int, ...]
    true_accepts: tuple[int, ...]
    impostor: int
    genuine: int


def roc_curve(scores: Scores, far: tuple[float, ...]) -> RocCurve:
    """Evenly spaced in log FAR from one false accept to all, with the points of `far` among them."""
    genuine, impostor = len(scores.genuine), len(scores.impostor)
    if scores.missing:
        return RocCurve((), (), impostor, genuine)
    stated = [allowed_false_accepts(one, impostor) for one in far]
    spread = np.geomspace(1, impostor, ROC_POINTS).round().astype(np.int64)
    allowed = np.unique(np.concatenate([spread, np.array(stated, np.int64)]))
    allowed = allowed[(allowed > 0) & (allowed < impostor)]
    true_accepts = scores.true_accepts(scores.thresholds(allowed))
    return RocCurve(
        (*allowed.tolist(), impostor), (*true_accepts.tolist(), genuine), impostor, genuine
    )


@dataclass(frozen=True)
class ScoreHistogram:
    """Counts of genuine and impostor cosines in `HISTOGRAM_BINS` equal bins from -1 to 1."""

    genuine: tuple[int, ...]
    impostor: tuple[int, ...]

    @property
    def edges(self) -> NDArray[np.float64]:
        """Edges (bins + 1,) of the bins."""
        return np.linspace(-1, 1, len(self.genuine) + 1)


def score_histogram(scores: Scores) -> ScoreHistogram:
    """Counts; a cosine that rounding put beyond -1 or 1 falls into the last bin.

    Raises:
        ValueError: scores that are not cosines.
    """
    for name, kind in (("genuine", scores.genuine), ("impostor", scores.impostor)):
        if len(kind) and (kind[0] < -1.001 or kind[-1] > 1.001):
            raise ValueError(
                f"{name}: scores from {kind[0]:g} to {kind[-1]:g} are not cosines from -1 to 1"
            )
    inner = np.linspace(-1, 1, HISTOGRAM_BINS + 1)[1:-1]

    def counts(kind: Floats) -> tuple[int, ...]:
        below = np.searchsorted(kind, inner.astype(kind.dtype))
        return tuple(np.diff(below, prepend=0, append=len(kind)).tolist())

    return ScoreHistogram(counts(scores.genuine), counts(scores.impostor))
