import math

import pytest
import torch

import gonio
from gonio import losses
from gonio.rules import Subtract
from gonio.rules.facts import Embedded, Memory
from gonio.rules.number import at_step, is_scheduled
from gonio.rules.scale import scale_bound


def test_annealing_follows_the_published_curve():
    assert [gonio.Annealing()(step) for step in (0, 100)] == [1000, pytest.approx(1000 / 13)]
    assert gonio.Annealing()(10**6) == 5
    squared = gonio.Annealing(base=1000, gamma=1e-4, power=2, minimum=5)
    assert squared(10_000) == pytest.approx(250)


def test_a_ramp_runs_from_end_to_end_and_stays():
    ramp = gonio.Ramp(0.0, 0.5, 100)
    assert [ramp(step) for step in (0, 50, 100, 1000)] == [0, 0.25, 0.5, 0.5]
    assert ramp.extremes() == gonio.Ramp(0.5, 0.0, 100).extremes() == (0, 0.5)


def test_schedules_are_found_anywhere_in_a_loss_and_only_there():
    loss = losses.arcface(margin=gonio.Ramp(0, 0.5, 10), gradient="detached")
    assert is_scheduled(loss)
    assert at_step(loss, 10) == losses.arcface(margin=0.5, gradient="detached")
    plain = losses.cosface()
    assert at_step(plain, 3) is plain


def test_a_schedule_that_was_not_resolved_is_named():
    with pytest.raises(ValueError, match=r"Ramp\(.* is a schedule; .* loss.at\(step\)"):
        Subtract(gonio.Ramp(0, 1, 10))(torch.ones(1), None)


def test_an_automatic_scale_is_for_the_margin_at_its_end():
    scheduled = losses.cosface(margin=gonio.Ramp(0, 0.4, 10), scale="auto").bind(1000)
    assert scheduled.scale == losses.cosface(margin=0.4, scale="auto").bind(1000).scale


def test_a_learned_scale_starts_and_ends_at_the_bounds_of_its_classes():
    head = gonio.Head(8, 1000, loss=losses.normface(scale="learned"))
    assert head.loss.scale.minimum == pytest.approx(scale_bound(1000, 0.9))
    started = head.loss.scale(
        Embedded(torch.ones(1, 1)), Memory({"raw_scale": head.raw_scale})
    ).item()
    assert started == pytest.approx(scale_bound(1000, 0.9999), rel=1e-6)
    assert losses.normface(minimum=30.0).bind(1000).scale == gonio.Learned(30.0, 31.0)


def test_a_scale_never_falls_below_one():
    assert scale_bound(1, 0.9) == scale_bound(2, 0.5) == 1
    assert scale_bound(2, 0.9) == pytest.approx(max(1, math.log(9) / 2))
