"""Every metric against its definition, spelled out over all thresholds in exact fractions."""

from fractions import Fraction
from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from gonio.evaluate.curves import roc_curve, score_histogram
from gonio.evaluate.metrics import (
    allowed_false_accepts,
    area_under_curve,
    equal_error_rate,
    tar_at_far,
)
from gonio.evaluate.scores import Scores

tied = st.integers(-4, 4).map(lambda step: step / 4)
rough = st.floats(-1, float(np.float32(1.0000007)), width=32)
score_lists = st.lists(tied, min_size=1, max_size=30) | st.lists(rough, min_size=1, max_size=30)


def rates(genuine, impostor, threshold):
    """(FAR, FNR) at a threshold."""
    false_accepts = sum(score >= threshold for score in impostor)
    misses = sum(score < threshold for score in genuine)
    return Fraction(false_accepts, len(impostor)), Fraction(misses, len(genuine))


@settings(deadline=None)
@given(score_lists, score_lists)
def test_auc_is_the_share_of_ordered_pairs(genuine, impostor):
    won = sum((g > i) + Fraction(g == i, 2) for g in genuine for i in impostor)
    area = area_under_curve(Scores.of(genuine, impostor))
    assert area.value == float(won / (len(genuine) * len(impostor)))


@settings(deadline=None)
@given(score_lists, score_lists)
def test_auc_agrees_with_scikit_learn(genuine, impostor):
    same = [1] * len(genuine) + [0] * len(impostor)
    area = area_under_curve(Scores.of(genuine, impostor))
    assert area.value == pytest.approx(roc_auc_score(same, genuine + impostor), abs=1e-12)


@settings(deadline=None)
@given(score_lists, score_lists)
def test_eer_lies_where_the_staircase_crosses(genuine, impostor):
    points = [
        rates(genuine, impostor, threshold) for threshold in [*sorted(set(genuine + impostor)), inf]
    ]
    (far0, fnr0) = last = [(far, fnr) for far, fnr in points if fnr <= far][-1]
    (far1, fnr1) = first = next((far, fnr) for far, fnr in points if fnr >= far)
    share = 0 if first == last else (far0 - fnr0) / ((far0 - fnr0) + (fnr1 - far1))
    rate = equal_error_rate(Scores.of(genuine, impostor))
    assert rate.value == pytest.approx(float(fnr0 + share * (fnr1 - fnr0)), abs=1e-12)
    assert rate.value == pytest.approx(float(far0 + share * (far1 - far0)), abs=1e-12)
    nearer = min(last, first, key=sum)
    assert (rate.low, rate.high) == (float(min(nearer)), float(max(nearer)))
    assert rates(genuine, impostor, rate.threshold) == nearer


@settings(deadline=None)
@given(score_lists, score_lists, st.sampled_from([0.05, 0.1, 0.3, 0.5, 0.9, 0.999]))
def test_tar_is_the_best_of_all_thresholds_within_the_far(genuine, impostor, far):
    point = tar_at_far(Scores.of(genuine, impostor), far)
    if Fraction(str(far)) * len(impostor) < 1:
        assert point.value is None
        return
    thresholds = [*(float(np.nextafter(score, 9)) for score in impostor), *genuine, inf]
    within = [
        1 - fnr
        for false_rate, fnr in (rates(genuine, impostor, threshold) for threshold in thresholds)
        if false_rate <= Fraction(str(far))
    ]
    assert point.value == float(max(within))
    false_rate, fnr = rates(genuine, impostor, point.threshold)
    assert (point.actual_far, point.value) == (float(false_rate), float(1 - fnr))
    assert point.false_accepts == false_rate * len(impostor)
    assert point.true_accepts == (1 - fnr) * len(genuine)


@pytest.mark.parametrize(
    ("far", "impostor", "allowed"),
    [(1e-3, 3000, 3), (1e-3, 2999, 2), (0.29, 100, 29), (1e-6, 15_638_932, 15), (0.1, 9, 0)],
)
def test_allowed_false_accepts_are_counted_in_decimals(far, impostor, allowed):
    assert allowed_false_accepts(far, impostor) == allowed


def test_ties_at_the_threshold_count_against_us():
    scores = Scores.of([0.9, 0.5, 0.5, 0.1], [0.8, 0.5, 0.5, 0.5, 0.2, 0.1, 0.1, 0.1, 0.0, 0.0])
    point = tar_at_far(scores, 0.2)
    assert (point.false_accepts, point.true_accepts) == (1, 1)
    assert (point.actual_far, point.value) == (0.1, 0.25)


def test_rejecting_all_begins_one_float_above_the_largest_score():
    """FAR and FNR are 0.9 and 0.6 at 0.5, so the nearer point is that of rejecting all."""
    scores = Scores.of(np.float32([0.5] * 4 + [0.1] * 6), np.float32([0.5] * 9 + [0.1]))
    found = equal_error_rate(scores)
    assert (found.low, found.high) == (0, 1)
    assert found.threshold == np.nextafter(np.float32(0.5), np.float32(1))


def test_a_far_that_the_impostors_cannot_resolve_is_refused():
    point = tar_at_far(Scores.of(np.ones(5), np.zeros(999)), 1e-3)
    assert point.value is None
    assert point.threshold is None
    assert point.reason == (
        "FAR 0.001 cannot be resolved: it needs 1,000 impostor pairs, there are 999"
    )
    assert tar_at_far(Scores.of(np.ones(5), np.zeros(1000)), 1e-3).value == 1


def test_a_far_on_few_false_accepts_is_flagged():
    few = tar_at_far(Scores.of(np.ones(5), np.linspace(-1, 0, 9999)), 1e-3)
    enough = tar_at_far(Scores.of(np.ones(5), np.linspace(-1, 0, 10_000)), 1e-3)
    assert few.value == enough.value == 1
    assert "fewer than 10 false accepts" in few.warning
    assert enough.warning is None


@pytest.mark.parametrize("far", [0, 1, -0.1, 1.5, float("nan")])
def test_a_far_outside_the_unit_interval_is_refused(far):
    with pytest.raises(ValueError, match="above 0 and below 1"):
        tar_at_far(Scores.of([1.0], [0.0]), far)


def test_constant_scores_tell_nothing():
    scores = Scores.of(np.full(20, 0.3), np.full(100, 0.3))
    assert area_under_curve(scores).value == 0.5
    assert equal_error_rate(scores).value == 0.5
    assert tar_at_far(scores, 0.1).value == 0


@pytest.mark.parametrize(("genuine", "impostor"), [([], [0.1]), ([0.1], []), ([], [])])
def test_a_missing_kind_gives_a_reason_and_no_number(genuine, impostor):
    scores = Scores.of(genuine, impostor)
    metrics = area_under_curve(scores), equal_error_rate(scores), tar_at_far(scores, 0.1)
    for metric in metrics:
        assert metric.value is None
        assert metric.reason.startswith("there are no ")
    assert roc_curve(scores, (0.1,)).allowed == ()


@pytest.mark.parametrize("bad", [[float("nan")], [float("inf")], [[0.1]]])
def test_scores_that_cannot_be_ranked_are_refused(bad):
    with pytest.raises(ValueError, match="genuine: "):
        Scores.of(bad, [0.1])


@settings(deadline=None)
@given(score_lists, score_lists)
def test_the_roc_curve_passes_through_the_operating_points(genuine, impostor):
    scores = Scores.of(genuine, impostor)
    curve = roc_curve(scores, (0.1, 0.5))
    assert curve.allowed[-1] == len(impostor)
    assert curve.true_accepts[-1] == len(genuine)
    points = dict(zip(curve.allowed, curve.true_accepts, strict=True))
    for allowed, true_accepts in list(points.items())[:-1]:
        point = tar_at_far(scores, (allowed + 0.5) / len(impostor))
        assert point.true_accepts == true_accepts
    for far in (0.1, 0.5):
        point = tar_at_far(scores, far)
        if point.value is not None:
            assert points[allowed_false_accepts(far, len(impostor))] == point.true_accepts


def test_the_roc_curve_is_thinned_but_keeps_the_stated_fars():
    scores = Scores.of(np.linspace(0, 1, 1000), np.linspace(-1, 0.5, 10**6))
    far = (1e-1, 0.0123457, 1e-3)
    curve = roc_curve(scores, far)
    assert len(curve.allowed) < 600
    points = dict(zip(curve.allowed, curve.true_accepts, strict=True))
    for one in far:
        assert points[allowed_false_accepts(one, 10**6)] == tar_at_far(scores, one).true_accepts


@settings(deadline=None)
@given(score_lists, score_lists)
def test_the_histogram_counts_every_score_in_its_bin(genuine, impostor):
    histogram = score_histogram(Scores.of(np.float32(genuine), np.float32(impostor)))
    edges = histogram.edges.astype(np.float32)
    for counts, scores in ((histogram.genuine, genuine), (histogram.impostor, impostor)):
        wanted, _ = np.histogram(np.clip(np.float32(scores), -1, 1), edges)
        assert counts == tuple(wanted)


def test_a_histogram_of_distances_is_refused():
    with pytest.raises(ValueError, match=r"impostor: .* are not cosines"):
        score_histogram(Scores.of([0.5], [0.1, 1.7]))
