"""Accuracy by k-fold cross-validation over a balanced list of pairs: the protocol of LFW.

Huang et al., "Labeled Faces in the Wild", 2007: 10 folds of 300 genuine and 300 impostor pairs.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gonio.evaluate.pairs import Indices, pair_lists, score_listed
from gonio.evaluate.samples import Samples

PAIRS_OF_A_KIND = 300  # in each fold, as in LFW


@dataclass(frozen=True)
class FoldAccuracy:
    """The share of pairs decided rightly, each fold at the best threshold of the other folds.

    Attributes:
        value: mean of the folds' accuracies.
        standard_error: their sample standard deviation / sqrt(folds).
        pairs_per_fold: genuine and impostor pairs together.
        method: how the folds were made.
        reason: why there is no value.
    """

    value: float | None
    standard_error: float | None
    pairs_per_fold: tuple[int, ...]
    method: str
    reason: str | None = None


def kfold_accuracy(scores: ArrayLike, same: ArrayLike, fold: ArrayLike) -> FoldAccuracy:
    """Accuracy of a given list of pairs in given folds.

    Args:
        scores: (pairs,) similarities, finite.
        same: (pairs,) booleans, or 0 and 1: the pair is genuine.
        fold: (pairs,) the fold of each pair, any values; at least two different ones.

    Raises:
        ValueError: shapes that do not go together, scores that are not finite, one fold only,
            `same` that is not true or false.
    """
    score, genuine, folds = np.asarray(scores, float), _as_booleans(same), np.asarray(fold)
    if score.ndim != 1 or not score.shape == genuine.shape == folds.shape:
        raise ValueError(
            f"scores, same, fold: got shapes {score.shape}, {genuine.shape}, {folds.shape}; "
            "all three must be (pairs,)"
        )
    if wrong := np.count_nonzero(~np.isfinite(score)):
        raise ValueError(f"scores: {wrong} of {len(score)} are not finite")
    names, sizes = np.unique(folds, return_counts=True)
    if len(names) < 2:
        raise ValueError(f"fold: got {len(names)} different folds; at least 2 are needed")

    pairs_per_fold = tuple(sizes.tolist())
    accuracies = []
    for name in names:
        held_out = folds == name
        for kind, there in (("genuine", genuine), ("impostor", ~genuine)):
            if not there[held_out].any():
                reason = f"fold {name} has no {kind} pair; every fold needs both kinds"
                return FoldAccuracy(None, None, pairs_per_fold, "as given", reason)
        threshold = best_threshold(score[~held_out], genuine[~held_out])
        accuracies.append(np.mean((score[held_out] >= threshold) == genuine[held_out]))
    error = np.std(accuracies, ddof=1) / np.sqrt(len(names))
    return FoldAccuracy(float(np.mean(accuracies)), float(error), pairs_per_fold, "as given")


def _as_booleans(same: ArrayLike) -> NDArray[np.bool_]:
    given = np.asarray(same)
    if unknown := [one for one in given.ravel().tolist() if one not in (0, 1)]:
        raise ValueError(
            f"same: got {unknown[0]!r}; a genuine pair is True or 1, an impostor pair False or 0"
        )
    return given.astype(bool)


def best_threshold(scores: NDArray[np.float64], same: NDArray[np.bool_]) -> float:
    """The threshold of highest accuracy, half way between two neighbouring distinct scores.

    Of all cuts that are equally good it is the (lower) median; one may also accept or reject all.
    """
    order = np.argsort(scores)
    ascending, genuine = scores[order], same[order]
    rejected_right = np.concatenate([[0], np.cumsum(~genuine)])
    accepted_right = genuine.sum() - np.concatenate([[0], np.cumsum(genuine)])
    below = np.concatenate([[-np.inf], ascending])
    above = np.concatenate([ascending, [np.inf]])
    right = np.where(below < above, rejected_right + accepted_right, -1)
    best = np.flatnonzero(right == right.max())
    cut = best[(len(best) - 1) // 2]
    middle = (below[cut] + above[cut]) / 2
    return float(middle if middle > below[cut] else above[cut])


def sampled_accuracy(samples: Samples, *, folds: int, seed: int) -> FoldAccuracy:
    """`kfold_accuracy` of a seeded, balanced list of pairs, equally many in every fold.

    The folds share no identity if each can have two identities with a genuine pair; otherwise
    only the pairs are split.

    Raises:
        ValueError: fewer than 2 folds.
    """
    if folds < 2:
        raise ValueError(f"folds: got {folds}; at least 2 are needed")
    rng = np.random.default_rng(seed)
    paired = int(np.count_nonzero(samples.sizes >= 2))
    if paired >= 2 * folds:
        method = "no identity in two folds"
        pairs, each = draw_by_identity(samples, folds, rng)
    else:
        method = f"pairs split at random: only {paired} identities have a genuine pair"
        pairs, each = draw_by_pair(samples, folds, rng)
    if each == 0:
        reason = f"too few pairs: {folds} folds need a genuine and an impostor pair each"
        return FoldAccuracy(None, None, (), method, reason)
    same = np.repeat([True, False], folds * each)
    fold = np.tile(np.repeat(np.arange(folds), each), 2)
    return replace(kfold_accuracy(score_listed(samples.unit, *pairs), same, fold), method=method)


def draw_by_identity(samples: Samples, folds: int, rng: np.random.Generator) -> tuple[Indices, int]:
    """Pairs (2, pairs), genuine ones first and fold by fold, and how many of a kind are in each."""
    large_first = np.lexsort((rng.random(len(samples.sizes)), -samples.sizes))
    fold_of_identity = np.empty_like(large_first)
    fold_of_identity[large_first] = np.arange(len(large_first)) % folds
    fold_of_sample = np.repeat(fold_of_identity, samples.sizes)
    rows = [np.flatnonzero(fold_of_sample == fold) for fold in range(folds)]
    lists = [pair_lists(samples.labels[own]) for own in rows]
    each = min(PAIRS_OF_A_KIND, *(len(pairs) for kinds in lists for pairs in kinds))
    drawn = [
        own[np.stack(kinds[kind].draw(each, rng))]
        for kind in (0, 1)
        for own, kinds in zip(rows, lists, strict=True)
    ]
    return np.concatenate(drawn, axis=1), each


def draw_by_pair(samples: Samples, folds: int, rng: np.random.Generator) -> tuple[Indices, int]:
    """The same, all pairs drawn at once; they come in random order."""
    kinds = pair_lists(samples.labels)
    each = min(PAIRS_OF_A_KIND, *(len(pairs) // folds for pairs in kinds))
    drawn = [np.stack(pairs.draw(each * folds, rng)) for pairs in kinds]
    return np.concatenate(drawn, axis=1), each
