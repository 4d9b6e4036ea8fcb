"""Where a class wins, found by the rules that train, against closed forms derived by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gonio import losses
from gonio.figures.angle_plane import AnglePlane
from gonio.figures.contest import boundary, wins
from gonio.figures.margin_width import MarginWidth
from gonio.figures.regions_margin import RegionsMargin
from gonio.figures.survey import margin_sizes

EXACT = 1e-7  # an angle is only known to the root of the rounding where its cosine is flat


def widths(loss):
    display = MarginWidth.from_losses({"it": loss})
    return display.between, display.width["it"]


def boundaries(loss):
    display = AnglePlane.from_losses({"it": loss})
    return display.own, display.other["it"]


@given(m=st.floats(1, 8))
@settings(max_examples=10, deadline=None)
def test_multiplied_margin_shrinks_with_the_angle_between_the_classes(m):
    between, width = widths(losses.sphereface(m, annealing=0))
    np.testing.assert_allclose(width, (m - 1) / (m + 1) * between, atol=EXACT)


@given(m=st.floats(0, 1.5))
@settings(max_examples=10, deadline=None)
def test_angular_margin_keeps_its_width_while_the_arc_is_longer(m):
    between, width = widths(losses.arcface(m))
    fits = between > m + 1e-6
    np.testing.assert_allclose(width[fits], m, atol=EXACT)
    assert np.isnan(width[between < m - 1e-6]).all()


@given(m=st.floats(0.01, 1.5))
@settings(max_examples=10, deadline=None)
def test_cosine_margin_widens_for_close_classes_until_it_cannot_be_met(m):
    between, width = widths(losses.cosface(m))
    fits = m < 1 - np.cos(between) - 1e-6
    np.testing.assert_allclose(
        width[fits], 2 * np.arcsin(m / (2 * np.sin(between[fits] / 2))), atol=EXACT
    )
    assert np.isnan(width[m > 1 - np.cos(between) + 1e-6]).all()


def test_boundaries_in_the_plane_of_angles():
    own, cosface = boundaries(losses.cosface(0.35))
    can_win = np.cos(own) - 0.35 > -1 + 1e-9
    np.testing.assert_allclose(cosface[can_win], np.arccos(np.cos(own[can_win]) - 0.35), atol=EXACT)
    assert np.isnan(cosface[~can_win]).all()
    assert can_win.any()
    assert not can_win.all()

    own, arcface = boundaries(losses.arcface(0.5))
    can_win = own + 0.5 < np.pi - 1e-6
    np.testing.assert_allclose(arcface[can_win], own[can_win] + 0.5, atol=EXACT)
    assert np.isnan(arcface[own + 0.5 > np.pi + 1e-6]).all()

    own, sphereface = boundaries(losses.sphereface(4, annealing=0))
    can_win = 4 * own < np.pi - 1e-6
    np.testing.assert_allclose(sphereface[can_win], 4 * own[can_win], atol=EXACT)
    assert np.isnan(sphereface[4 * own > np.pi + 1e-6]).all()


@pytest.mark.parametrize("name", ["hinge", "max-hinge", "lse-hinge", "softplus-lse", "am-softmax"])
@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.0])
def test_every_loss_of_the_chain_asks_for_the_same_boundary(name, temperature):
    row = losses.get(name)
    settings = {"temperature": temperature} if "temperature" in row.defaults else {}
    _, expected = boundaries(losses.cosface(0.35))
    _, other = boundaries(row.loss(margin=0.35, **settings))
    np.testing.assert_allclose(other, expected, atol=EXACT)


def test_without_a_margin_the_nearer_class_wins():
    own, other = torch.rand(2, 500, dtype=torch.float64) * torch.pi
    assert torch.equal(wins(losses.normface(scale=30), own, other), own < other)


def test_boundary_says_where_a_condition_never_or_always_holds():
    limit = torch.tensor([-1.0, 0.25, 2.0], dtype=torch.float64)
    found = boundary(lambda x: x <= limit, torch.zeros(3).double(), torch.ones(3).double())
    np.testing.assert_allclose(found, [np.nan, 0.25, 1.0])


def test_what_is_won_falls_with_the_margin():
    display = RegionsMargin.from_losses()
    shares = np.reshape(list(display.share.values()), (3, 4))
    assert len(display.share) == len(margin_sizes()) == 12
    assert (np.diff(shares, axis=1) < 0).all()
    assert shares[:, 0] == pytest.approx(1)


def test_no_point_is_won_by_two_classes_and_margins_only_take_away():
    display = RegionsMargin.from_losses(
        {"none": losses.normface(scale=30), "arcface": losses.arcface(0.5)}
    )
    without, with_margin = display.won["none"], display.won["arcface"]
    assert without.sum(axis=0).max() == with_margin.sum(axis=0).max() == 1
    assert not (with_margin & ~without).any()
    assert display.inside.sum() == without.shape[1]
    assert display.share["arcface"] == with_margin.any(axis=0).mean() < 0.6
