"""AUC, EER and TAR at a FAR, exact on the staircase of operating points.

A number that the pairs do not give is None, and its `reason` says why.
"""

from bisect import bisect_left
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

import numpy as np

from gonio.evaluate.scores import Floats, Scores

FEW_FALSE_ACCEPTS = 10


@dataclass(frozen=True)
class AreaUnderCurve:
    """P(genuine > impostor) + P(equal) / 2 over all such pairs of pairs (Mann-Whitney)."""

    value: float | None
    reason: str | None = None


def area_under_curve(scores: Scores) -> AreaUnderCurve:
    """The exact area under the ROC curve, ties counted half."""
    if scores.missing:
        return AreaUnderCurve(None, scores.missing)
    blocks = np.array_split(scores.genuine, 1 + len(scores.genuine) // 2**20)
    twice_below = sum(
        int(np.searchsorted(scores.impostor, block, side="left").sum())
        + int(np.searchsorted(scores.impostor, block, side="right").sum())
        for block in blocks
    )
    return AreaUnderCurve(twice_below / (2 * len(scores.genuine) * len(scores.impostor)))


@dataclass(frozen=True)
class EqualErrorRate:
    """Where FAR = FNR, between the last point with FNR <= FAR and the first with FNR >= FAR.

    Attributes:
        value: the rate where both points are one and the same, else by linear interpolation.
        low: the smaller of FAR and FNR at the nearer point (FVC's bracket).
        high: the larger of the two there.
        threshold: that point's threshold.
        reason: why there is no value.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    threshold: float | None = None
    reason: str | None = None


def equal_error_rate(scores: Scores) -> EqualErrorRate:
    """The exact equal error rate of the staircase of operating points."""
    if scores.missing:
        return EqualErrorRate(None, reason=scores.missing)
    genuine, impostor = scores.genuine, scores.impostor

    def errors(threshold: Floats) -> tuple[int, int]:
        """FAR and FNR, times N_G N_I: whole numbers, so that comparisons are exact."""
        misses = len(genuine) - int(scores.true_accepts(threshold))
        return int(scores.false_accepts(threshold)) * len(genuine), misses * len(impostor)

    def has_crossed(threshold: Floats) -> bool:
        false_accepts, misses = errors(threshold)
        return misses >= false_accepts

    whole = len(genuine) * len(impostor)
    reject_all = np.nextafter(max(genuine[-1], impostor[-1]), np.inf)
    firsts = [(kind, bisect_left(kind, True, key=has_crossed)) for kind in (genuine, impostor)]
    after = min([reject_all, *(kind[i] for kind, i in firsts if i < len(kind))])
    far_after, fnr_after = errors(after)
    if far_after == fnr_after:
        rate = far_after / whole
        return EqualErrorRate(rate, low=rate, high=rate, threshold=float(after))

    before = max(kind[i - 1] for kind, i in firsts if i > 0)
    far_before, fnr_before = errors(before)
    nearer = min(before, after, key=lambda threshold: sum(errors(threshold)))
    gap_before, gap_after = far_before - fnr_before, fnr_after - far_after
    share = gap_before / (gap_before + gap_after)
    return EqualErrorRate(
        value=(fnr_before + share * (fnr_after - fnr_before)) / whole,
        low=min(errors(nearer)) / whole,
        high=max(errors(nearer)) / whole,
        threshold=float(nearer),
    )


@dataclass(frozen=True)
class TarAtFar:
    """The true accept rate at the lowest threshold whose false accept rate is at most `far`.

    Attributes:
        far: the false accept rate that is allowed.
        value: true_accepts / genuine, or None if the impostor pairs cannot resolve `far`.
        threshold: accept iff score >= threshold.
        actual_far: false_accepts / impostor; at most `far`.
        false_accepts: impostor pairs accepted.
        impostor: all impostor pairs.
        true_accepts: genuine pairs accepted.
        genuine: all genuine pairs.
        reason: why there is no value.
        warning: why the value is to be read with care.
    """

    far: float
    value: float | None
    threshold: float | None
    actual_far: float | None
    false_accepts: int | None
    impostor: int
    true_accepts: int | None
    genuine: int
    reason: str | None = None
    warning: str | None = None


def tar_at_far(scores: Scores, far: float) -> TarAtFar:
    """TAR at FAR <= `far`, without interpolation.

    Raises:
        ValueError: `far` outside the open interval from 0 to 1.
    """
    genuine, impostor = len(scores.genuine), len(scores.impostor)
    allowed = allowed_false_accepts(far, impostor)
    reason = scores.missing
    if reason is None and allowed == 0:
        reason = (
            f"FAR {far:g} cannot be resolved: it needs {ceil(1 / _exact(far)):,} impostor pairs, "
            f"there are {impostor:,}"
        )
    if reason:
        return TarAtFar(far, None, None, None, None, impostor, None, genuine, reason)
    threshold = scores.thresholds(np.array(allowed))
    false_accepts = int(scores.false_accepts(threshold))
    true_accepts = int(scores.true_accepts(threshold))
    few = (
        f"FAR {far:g} of {impostor:,} impostor pairs allows {allowed}: "
        f"the value stands on fewer than {FEW_FALSE_ACCEPTS} false accepts"
    )
    return TarAtFar(
        far=far,
        value=true_accepts / genuine,
        threshold=float(threshold),
        actual_far=false_accepts / impostor,
        false_accepts=false_accepts,
        impostor=impostor,
        true_accepts=true_accepts,
        genuine=genuine,
        warning=few if allowed < FEW_FALSE_ACCEPTS else None,
    )


def allowed_false_accepts(far: float, impostor: int) -> int:
    """floor(far * impostor) of the decimal number that `far` prints as.

    >>> allowed_false_accepts(0.29, 100), int(0.29 * 100)
    (29, 28)

    Raises:
        ValueError: `far` outside the open interval from 0 to 1.
    """
    if not 0 < far < 1:
        raise ValueError(f"far: got {far}; a false accept rate lies above 0 and below 1")
    return floor(_exact(far) * impostor)


def _exact(far: float) -> Fraction:
    return Fraction(repr(float(far)))
