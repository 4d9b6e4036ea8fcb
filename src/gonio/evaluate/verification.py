"""Verification of unseen identities: are two samples of the same one?"""

from dataclasses import dataclass

from gonio.evaluate.curves import RocCurve, ScoreHistogram, roc_curve, score_histogram
from gonio.evaluate.folds import FoldAccuracy, sampled_accuracy
from gonio.evaluate.metrics import (
    AreaUnderCurve,
    EqualErrorRate,
    TarAtFar,
    area_under_curve,
    equal_error_rate,
    tar_at_far,
)
from gonio.evaluate.pairs import PairCounts, score_pairs
from gonio.evaluate.samples import Array, prepare
from gonio.evaluate.scores import Scores

STATED_FAR = (1e-1, 1e-2, 1e-3)


@dataclass(frozen=True)
class Verification:
    """Every metric has a `value`; where it is None, its `reason` says why."""

    pairs: PairCounts
    auc: AreaUnderCurve
    eer: EqualErrorRate
    tar_at_far: tuple[TarAtFar, ...]
    accuracy: FoldAccuracy
    roc: RocCurve
    histogram: ScoreHistogram


def verify(
    embeddings: Array,
    labels: Array,
    *,
    far: tuple[float, ...] = STATED_FAR,
    folds: int = 10,
    seed: int = 0,
    max_pairs: int = 50_000_000,
) -> Verification:
    """Compare the cosines of genuine pairs with those of impostor pairs.

    The numbers do not depend on the order of the samples.

    Args:
        embeddings: (n, dim) floating, of any length but zero.
        labels: (n,) integer identities.
        far: false accept rates at which the true accept rate is wanted, each in (0, 1).
        folds: of the cross-validated accuracy, at least 2.
        seed: of every random draw: the pairs of the folds, and pairs beyond `max_pairs`.
        max_pairs: all pairs are scored up to this many; beyond, at most this many of either kind.
            A score takes 4 bytes.

    Raises:
        TypeError, ValueError: arguments that cannot be used.
        DataError: embeddings that are not finite, or of length zero.

    >>> import torch
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.8]])
    >>> verify(embeddings, torch.tensor([0, 0, 1, 1]), far=(0.5,)).auc.value
    1.0
    """
    if max_pairs < 1:
        raise ValueError(f"max_pairs: got {max_pairs}; at least 1 is needed")
    samples = prepare(embeddings, labels)
    genuine, impostor, pairs = score_pairs(samples, max_pairs=max_pairs, seed=seed)
    scores = Scores.of(genuine, impostor)
    return Verification(
        pairs=pairs,
        auc=area_under_curve(scores),
        eer=equal_error_rate(scores),
        tar_at_far=tuple(tar_at_far(scores, one) for one in far),
        accuracy=sampled_accuracy(samples, folds=folds, seed=seed),
        roc=roc_curve(scores, far),
        histogram=score_histogram(scores),
    )
