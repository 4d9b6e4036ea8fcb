"""The numbers behind the survey's other pictures."""

import numpy as np
import pytest
import torch

from gonio import Annealing, losses
from gonio.base.errors import ConfigError
from gonio.figures import sphere
from gonio.figures.intra_inter import IntraInter
from gonio.figures.regions_scale import NORM, RegionsScale
from gonio.figures.scale_control import ScaleControl
from gonio.figures.smooth_family import SmoothFamily
from gonio.figures.survey import margins, settled
from gonio.figures.target_curves import TargetCurves
from gonio.loss import target_curve


def test_target_curves_are_those_of_the_rules_from_end_to_end():
    display = TargetCurves.from_losses()
    assert display.angle[[0, -1]] == pytest.approx([0, np.pi])
    for label, loss in margins().items():
        expected = target_curve(loss, torch.from_numpy(display.angle))
        np.testing.assert_array_equal(display.target[label], expected)
    ends = {label: (curve[0], curve[-1]) for label, curve in display.target.items()}
    assert ends["plain cosine"] == pytest.approx((1, -1))
    assert ends["CosFace  m = 0.35"] == pytest.approx((0.65, -1.35))
    assert ends["ArcFace  m = 0.5"] == pytest.approx((np.cos(0.5), -2 + np.cos(0.5)))
    assert ends["SphereFace  m = 4"] == pytest.approx((1, -7))


def test_slope_vanishes_at_pi_over_m_and_at_pi_minus_m():
    flat = TargetCurves.from_losses(
        {
            "sphereface": losses.sphereface(4, annealing=0),
            "arcface": losses.arcface(0.5),
            "arcface detached": losses.arcface(0.5, gradient="detached"),
            "cosface": losses.cosface(),
            "slow but never flat": losses.sphereface(4, annealing=1.0),
        }
    ).flat
    np.testing.assert_allclose(flat["sphereface"], np.pi / 4 * np.array([1, 2, 3]), atol=1e-6)
    np.testing.assert_allclose(flat["arcface"], [np.pi - 0.5], atol=1e-6)
    for label in ("arcface detached", "cosface", "slow but never flat"):
        assert flat[label].size == 0, label


def test_a_schedule_is_shown_as_it_ends():
    annealed = losses.sphereface(4, annealing=Annealing(minimum=0, power=2))
    curves = TargetCurves.from_losses({"a": annealed, "b": losses.sphereface(4, annealing=0)})
    np.testing.assert_allclose(curves.target["a"], curves.target["b"], atol=1e-6)


def test_pictures_refuse_an_empty_choice():
    with pytest.raises(ConfigError, match="losses"):
        settled({})


def test_survey_numbers_of_scale_control():
    display = ScaleControl.from_losses()
    assert np.round(display.value["softmax"], 4).tolist() == [1.6425, 4.4402, 40.0]
    small, plain, large = display.share["softmax"]
    assert np.round(small, 4).tolist() == [0.2138, 0.2363, 0.2612, 0.2887]
    assert np.round(plain, 4).tolist() == [0.0321, 0.0871, 0.2369, 0.6439]
    assert large == pytest.approx([9.36e-14, 2.06e-9, 4.54e-5, 1], rel=1e-3)
    excess = display.excess["softmax"]
    assert (np.diff(excess) <= 0).all()
    assert excess.max() < np.log(4)
    assert excess[0] == pytest.approx(np.log(4), abs=0.02)
    assert excess[-1] == pytest.approx(0, abs=1e-9)


def test_pool_at_temperature_zero_gives_all_weight_to_the_largest_score():
    share = ScaleControl.from_losses({"max": losses.max_hinge()}).share["max"]
    assert share.tolist() == [[0, 0, 0, 1]] * 3


def test_smooth_family_has_the_hinge_at_temperature_zero():
    cold = losses.softplus_lse(temperature=0)
    family = SmoothFamily.from_losses(
        {"cold": cold, "tepid": losses.softplus_lse(temperature=0.01)}
    )
    hinge = np.maximum(-family.gap, 0)
    np.testing.assert_array_equal(family.cost["cold"], hinge)
    np.testing.assert_allclose(family.cost["tepid"], hinge, atol=0.01)
    off_the_kink = np.abs(family.gap) > 1e-9
    np.testing.assert_array_equal(family.pull["cold"][off_the_kink], family.gap[off_the_kink] < 0)


def test_smooth_family_by_hand():
    family = SmoothFamily.from_losses()
    gap, others = family.gap[:, None], np.array([-3.0, -2.0, -1.0, 0.0])
    lse = np.log(np.exp(others).sum())
    cross_entropy = np.log1p(np.exp(lse - family.gap))
    np.testing.assert_allclose(family.cost["softplus of LSE = cross-entropy"], cross_entropy)
    np.testing.assert_allclose(
        family.pull["softplus of LSE = cross-entropy"], 1 - np.exp(-cross_entropy)
    )
    np.testing.assert_allclose(
        family.cost["sum of hinges"], np.maximum(others - gap, 0).sum(axis=1), atol=1e-12
    )
    np.testing.assert_allclose(
        family.cost["hinge of LSE"], np.maximum(lse - family.gap, 0), atol=1e-12
    )
    assert family.pull["sum of hinges"].max() == len(others)
    assert family.pull["hinge of LSE"].max() == 1


def test_a_larger_scale_is_surer_at_every_class_vector_and_sums_to_one():
    probability = RegionsScale.from_losses().probability
    points = sphere.grid()[1]
    nearest = (sphere.class_vectors() @ points.T).argmax(dim=1)
    surest = [panel[range(5), nearest].min() for panel in probability.values()]
    assert (np.diff(surest) > 0).all()
    for panel in probability.values():
        np.testing.assert_allclose(panel.sum(axis=0), 1)


def test_probability_is_the_softmax_of_scaled_cosines():
    normalised, plain = RegionsScale.from_losses(
        {"normalised": losses.normface(scale=5), "plain": losses.softmax()}
    ).probability.values()
    cosines = sphere.class_vectors() @ sphere.grid()[1].T
    np.testing.assert_allclose(normalised, (5 * cosines).softmax(dim=0), atol=1e-12)
    np.testing.assert_allclose(plain, (NORM * cosines).softmax(dim=0), atol=1e-12)


def test_projection_of_the_sphere_keeps_areas():
    _, points = sphere.grid()
    np.testing.assert_allclose(points.norm(dim=1), 1)
    for height in (0.2, 0.5, 0.8):  # a cap's area is proportional to its height
        assert (points[:, 2] > 1 - height).double().mean() == pytest.approx(height, abs=2e-3)


def test_separable_classes_are_farther_apart_inside_than_between():
    state = torch.random.get_rng_state()
    display = IntraInter.from_losses({"softmax": losses.softmax(), "arcface": losses.arcface()})
    assert torch.equal(torch.random.get_rng_state(), state)
    assert display.accuracy == {"softmax": 1.0, "arcface": 1.0}
    assert display.length(display.intra) > 5 * display.length(display.inter)
    assert len(set(display.labels[list(display.intra)])) == 1
    assert len(set(display.labels[list(display.inter)])) == 2
    apart = np.linalg.norm(display.points[:, None] - display.points, axis=2)
    is_same = display.labels[:, None] == display.labels
    assert display.length(display.intra) == pytest.approx(apart[is_same].max())
    assert display.length(display.inter) == pytest.approx(apart[~is_same].min())
