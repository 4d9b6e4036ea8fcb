import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gonio.evaluate.folds import (
    PAIRS_OF_A_KIND,
    best_threshold,
    draw_by_identity,
    kfold_accuracy,
    sampled_accuracy,
)
from gonio.evaluate.samples import prepare


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-3, 3).map(float) | st.floats(-1, 1), st.booleans()),
        min_size=1,
        max_size=15,
    )
)
def test_the_threshold_is_the_lower_median_of_the_best_cuts(pairs):
    scores, same = (np.array(column) for column in zip(*pairs, strict=True))
    distinct = np.unique(scores)
    cuts = [-np.inf, *distinct[1:], np.inf]  # accept what is >= the cut
    right = [np.sum((scores >= cut) == same) for cut in cuts]
    best = [cut for cut, count in zip(cuts, right, strict=True) if count == max(right)]
    chosen = best[(len(best) - 1) // 2]
    threshold = best_threshold(scores, same)
    assert np.array_equal(scores >= threshold, scores >= chosen)
    if np.isfinite(chosen):
        below = distinct[distinct < chosen].max()
        assert threshold == pytest.approx((below + chosen) / 2)
        assert below < threshold <= chosen


def test_neighbouring_floats_are_still_cut_apart():
    low = 0.5
    high = np.nextafter(low, 1)
    threshold = best_threshold(np.array([low, high]), np.array([False, True]))
    assert low < threshold <= high


def test_each_fold_is_judged_by_the_others():
    scores = [0.1, 0.9, 0.2, 0.8, 0.7, 0.3]
    same = [False, True, False, True, False, True]
    fold = [0, 0, 1, 1, 2, 2]
    # folds 0 and 1: the best cut of the other two folds lies below .3 or above .7; fold 2 fails
    result = kfold_accuracy(scores, same, fold)
    singles = []
    for one in range(3):
        held_out = np.array(fold) == one
        threshold = best_threshold(np.array(scores)[~held_out], np.array(same)[~held_out])
        singles.append(
            np.mean((np.array(scores)[held_out] >= threshold) == np.array(same)[held_out])
        )
    assert singles[2] == 0
    assert result.value == pytest.approx(np.mean(singles))
    assert result.standard_error == pytest.approx(np.std(singles, ddof=1) / np.sqrt(3))
    assert result.pairs_per_fold == (2, 2, 2)


def test_float32_scores_are_compared_exactly():
    low = np.float32(0.5)
    high = np.nextafter(low, np.float32(1))
    scores = np.array([low, high, low, high], np.float32)
    assert kfold_accuracy(scores, [False, True, False, True], [0, 0, 1, 1]).value == 1


def test_the_order_of_the_pairs_does_not_matter():
    rng = np.random.default_rng(0)
    scores, same, fold = rng.integers(9, size=60) / 9, np.arange(60) % 2 == 0, np.arange(60) // 6
    order = rng.permutation(60)
    assert kfold_accuracy(scores, same, fold) == kfold_accuracy(
        scores[order], same[order], fold[order]
    )


def test_a_pair_is_genuine_by_a_boolean_or_by_0_and_1():
    scores, fold = [0.9, 0.1, 0.8, 0.2], [0, 0, 1, 1]
    for same in ([True, False] * 2, [1, 0] * 2, [1.0, 0.0] * 2):
        assert kfold_accuracy(scores, same, fold).value == 1


def test_a_fold_of_one_kind_has_no_accuracy():
    result = kfold_accuracy([0.1, 0.2, 0.3, 0.4], [True, True, False, True], [0, 0, 1, 1])
    assert result.value is None
    assert result.reason == "fold 0 has no impostor pair; every fold needs both kinds"


@pytest.mark.parametrize(
    ("scores", "same", "fold", "message"),
    [
        ([0.1, 0.2], [True], [0, 1], "all three must be"),
        ([0.1, np.nan], [True, False], [0, 1], "1 of 2 are not finite"),
        ([0.1, 0.2], [True, False], [0, 0], "at least 2 are needed"),
        ([], [], [], "got 0 different folds"),
        ([0.1, 0.2], [1, -1], [0, 1], "same: got -1; a genuine pair is True or 1"),
        ([0.1, 0.2], ["1", "0"], [0, 1], "same: got '1'"),
        ([0.1, 0.2], [1, np.nan], [0, 1], "same: got nan"),
        ([0.1, 0.2], [True, None], [0, 1], "same: got None"),
    ],
)
def test_lists_that_cannot_be_used_are_refused(scores, same, fold, message):
    with pytest.raises(ValueError, match=message):
        kfold_accuracy(scores, same, fold)


def made_up(identities, each, spread=0.5, dim=16):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(identities), each)
    centres = rng.normal(size=(identities, dim))
    return prepare(centres[labels] + spread * rng.normal(size=(len(labels), dim)), labels)


def test_folds_share_no_identity_and_are_balanced():
    samples = made_up(identities=25, each=4)
    (i, j), each = draw_by_identity(samples, 10, np.random.default_rng(0))
    assert each >= 2
    assert len(i) == 2 * 10 * each
    assert np.all(i < j)
    assert len({*zip(i, j, strict=True)}) == len(i)
    same = samples.labels[i] == samples.labels[j]
    assert same[: 10 * each].all()
    assert not same[10 * each :].any()
    fold = np.tile(np.repeat(np.arange(10), each), 2)
    owners = [
        set(samples.labels[i[fold == one]]) | set(samples.labels[j[fold == one]])
        for one in range(10)
    ]
    assert sum(len(owner) for owner in owners) == len(set.union(*owners))


def test_enough_identities_give_the_protocol_of_lfw():
    result = sampled_accuracy(made_up(identities=100, each=9), folds=10, seed=0)
    assert result.pairs_per_fold == (2 * PAIRS_OF_A_KIND,) * 10
    assert result.method == "no identity in two folds"
    assert 0.9 < result.value <= 1


def test_few_identities_have_only_their_pairs_split():
    result = sampled_accuracy(made_up(identities=19, each=30), folds=10, seed=0)
    assert result.pairs_per_fold == (2 * PAIRS_OF_A_KIND,) * 10
    assert result.method == "pairs split at random: only 19 identities have a genuine pair"


@pytest.mark.parametrize(("identities", "each"), [(1, 9), (9, 1), (3, 2), (1, 1)])
def test_too_few_pairs_have_no_accuracy(identities, each):
    result = sampled_accuracy(made_up(identities, each), folds=10, seed=0)
    assert result.value is None
    assert "10 folds need a genuine and an impostor pair each" in result.reason


def test_one_fold_is_refused():
    with pytest.raises(ValueError, match="folds: got 1"):
        sampled_accuracy(made_up(9, 9), folds=1, seed=0)
