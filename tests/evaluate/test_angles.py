from itertools import combinations
from math import cos, pi, sin

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gonio.base.errors import DataError
from gonio.evaluate import angles
from gonio.evaluate.angles import angle_between, nearest_centres
from gonio.evaluate.pairs import TILE


@settings(deadline=None)
@given(st.floats(1e-12, 1e-3) | st.floats(0, pi) | st.floats(1e-12, 1e-3).map(lambda x: pi - x))
def test_angles_are_accurate_from_end_to_end(angle):
    a, b = np.array([[1.0, 0.0]]), np.array([[cos(angle), sin(angle)]])
    assert angle_between(a, b)[0] == pytest.approx(angle, rel=1e-12, abs=1e-15)


def directions(degrees):
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1)


def test_angles_in_the_plane():
    # identity 0 at 0 and 20 degrees, identity 1 at 60 and 64, identity 2 alone at 172
    result = angles(3 * directions([0.0, 20, 60, 64, 172]), np.array([0, 0, 1, 1, 2]))
    own = [10, 10, 2, 2]
    assert result.to_own_centre.count == 4
    assert result.to_own_centre.mean == pytest.approx(np.mean(own))
    assert result.genuine_pairs.mean == pytest.approx(np.mean([20, 4]))
    nearest = [52, 52, 110]
    assert result.to_nearest_centre.count == 3
    assert result.to_nearest_centre.mean == pytest.approx(np.mean(nearest))
    assert result.to_nearest_centre.median == pytest.approx(52)
    impostor = [60, 64, 172, 40, 44, 152, 112, 108]
    assert result.impostor_pairs.count == len(impostor)
    for name, percent in (("percentile_5", 5), ("median", 50), ("percentile_95", 95)):
        wanted = np.percentile(impostor, percent)
        assert getattr(result.impostor_pairs, name) == pytest.approx(wanted)


@settings(deadline=None, max_examples=20)
@given(st.integers(2, 40), st.integers(1, 4), st.integers(0, 99))
def test_angles_follow_their_definition(n, identities, seed):
    rng = np.random.default_rng(seed)
    embeddings, labels = rng.normal(size=(n, 3)), rng.integers(identities, size=n)
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)

    def mean_angle(pairs):
        found = [np.degrees(np.arccos(np.clip(a @ b, -1, 1))) for a, b in pairs]
        return pytest.approx(np.mean(found), abs=1e-5) if found else None

    pairs = list(combinations(range(n), 2))
    centres = {y: unit[labels == y].mean(0) for y in np.unique(labels)}
    centres = {y: centre / np.linalg.norm(centre) for y, centre in centres.items()}
    result = angles(embeddings, labels)
    assert result.genuine_pairs.mean == mean_angle(
        (unit[i], unit[j]) for i, j in pairs if labels[i] == labels[j]
    )
    assert result.impostor_pairs.mean == mean_angle(
        (unit[i], unit[j]) for i, j in pairs if labels[i] != labels[j]
    )
    assert result.to_own_centre.mean == mean_angle(
        (unit[i], centres[y]) for i, y in enumerate(labels) if sum(labels == y) > 1
    )
    assert result.to_nearest_centre.mean == mean_angle(
        (centre, max((c for z, c in centres.items() if z != y), key=lambda c: c @ centre))
        for y, centre in centres.items()
        if len(centres) > 1
    )


def test_the_nearest_centre_is_found_across_tiles():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(2 * TILE + 3, 8))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    cosine = centres @ centres.T
    np.fill_diagonal(cosine, -np.inf)
    assert np.array_equal(nearest_centres(centres), cosine.argmax(axis=1))


def test_the_order_of_the_samples_does_not_matter():
    rng = np.random.default_rng(0)
    embeddings, labels = rng.normal(size=(300, 16)), rng.integers(40, size=300)
    order = rng.permutation(300)
    assert angles(embeddings[order], labels[order], max_pairs=500) == angles(
        embeddings, labels, max_pairs=500
    )


def test_many_pairs_are_drawn():
    rng = np.random.default_rng(0)
    embeddings, labels = rng.normal(size=(300, 16)), np.arange(300) % 10
    drawn, every = angles(embeddings, labels, max_pairs=3000), angles(embeddings, labels)
    assert (drawn.impostor_pairs.count, drawn.impostor_pairs.total) == (3000, 45 * 30 * 30)
    assert every.impostor_pairs.count == every.impostor_pairs.total == 45 * 30 * 30
    assert drawn.impostor_pairs.mean == pytest.approx(every.impostor_pairs.mean, abs=1)


def test_what_cannot_be_measured_has_a_reason():
    alone = angles(np.eye(3), np.arange(3))
    assert alone.to_own_centre.mean is alone.genuine_pairs.mean is None
    assert alone.genuine_pairs.reason == "no identity has two samples"
    assert alone.impostor_pairs.mean == pytest.approx(90)
    one = angles(np.eye(3), np.zeros(3, int))
    assert one.to_nearest_centre.mean is one.impostor_pairs.mean is None
    assert one.impostor_pairs.reason == "all samples are of one identity"
    assert one.genuine_pairs.mean == pytest.approx(90)


def test_an_identity_whose_samples_cancel_has_no_centre():
    opposite = np.array([[0.6, 0.8], [1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])
    result = angles(opposite, np.array([3, 8, 8, 3]))
    for summary in (result.to_own_centre, result.to_nearest_centre):
        assert summary.mean is None
        assert "the first with label 8" in summary.reason
    assert result.impostor_pairs.mean is not None


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="max_pairs: got 0"):
        angles(np.eye(3), np.arange(3), max_pairs=0)
    with pytest.raises(DataError, match="NaN"):
        angles(np.full((2, 2), np.nan), np.arange(2))
