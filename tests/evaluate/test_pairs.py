from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gonio.evaluate.pairs import TILE, pair_lists, score_listed, score_pairs
from gonio.evaluate.samples import prepare


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=12).map(sorted))
def test_lists_number_every_pair_once(labels):
    for pairs, is_genuine in zip(pair_lists(np.array(labels)), (True, False), strict=True):
        wanted = [
            (i, j)
            for i, j in combinations(range(len(labels)), 2)
            if (labels[i] == labels[j]) == is_genuine
        ]
        i, j = pairs[np.arange(len(pairs))]
        assert list(zip(i.tolist(), j.tolist(), strict=True)) == wanted


def made_up(n, identities, dim=5, seed=0):
    rng = np.random.default_rng(seed)
    return prepare(rng.normal(size=(n, dim)), rng.integers(identities, size=n))


@pytest.mark.parametrize("n", [2, TILE - 1, TILE, TILE + 1])
def test_tiles_score_every_pair_once(n):
    samples = made_up(n, identities=20)
    genuine, impostor, counts = score_pairs(samples, max_pairs=10**6, seed=0)
    cosine = samples.unit @ samples.unit.T
    upper = np.triu(np.ones((n, n), bool), k=1)
    same = samples.labels[:, None] == samples.labels
    for scores, kind in ((genuine, same), (impostor, ~same)):
        assert np.sort(scores) == pytest.approx(np.sort(cosine[upper & kind]), abs=1e-7)
    assert counts.genuine == counts.all_genuine == len(genuine)
    assert counts.impostor == counts.all_impostor == len(impostor)


@pytest.mark.parametrize("dim", [3, 64, 128, 500])
def test_equal_pairs_tie_wherever_they_lie(dim):
    rng = np.random.default_rng(dim)
    a, b = rng.normal(size=(2, dim))
    samples = prepare(np.concatenate([np.tile(a, (TILE, 1)), np.tile(b, (30, 1))]), np.arange(542))
    _, impostor, _ = score_pairs(samples, max_pairs=10**6, seed=0)
    assert len(np.unique(impostor)) == 2


def test_beyond_the_limit_genuine_pairs_are_kept_and_impostors_drawn():
    samples = made_up(200, identities=50)
    all_genuine, all_impostor, _ = score_pairs(samples, max_pairs=10**6, seed=0)
    genuine, impostor, counts = score_pairs(samples, max_pairs=5000, seed=0)
    assert np.array_equal(np.sort(genuine), np.sort(all_genuine))
    assert len(impostor) == counts.impostor == 5000
    assert counts.all_impostor == len(all_impostor)
    assert np.isin(impostor, all_impostor).all()
    assert impostor.mean() == pytest.approx(all_impostor.mean(), abs=0.03)
    assert "seed 0" in counts.method


def test_the_seed_decides_the_draw():
    samples = made_up(100, identities=10)
    first, again, other = (score_pairs(samples, max_pairs=50, seed=seed)[1] for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@settings(deadline=None)
@given(st.integers(0, 1000))
def test_a_listed_pair_has_the_score_of_its_tile(seed):
    samples = made_up(30, identities=1, seed=seed)
    genuine, _, _ = score_pairs(samples, max_pairs=10**6, seed=0)
    listed = score_listed(samples.unit, *np.triu_indices(30, k=1))
    assert np.sort(genuine) == pytest.approx(np.sort(listed), abs=1e-7)
