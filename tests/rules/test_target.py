"""Target rules where the shifted angle leaves [0, pi]."""

import math

import pytest
import torch

from gonio.base.geometry import angle_between, unit
from gonio.rules import AngularMargin, QualityMargin
from gonio.rules.facts import Sample

FOLDED = {
    "a margin past pi": (AngularMargin(add=0.5), 1, 0.5),
    "a negative margin": (AngularMargin(add=-0.5), 1, -0.5),
    "a factor": (AngularMargin(multiply=4.0), 4, 0.0),
    "a good sample": (QualityMargin(0.4, 1.0), 1, -0.4),
    "a bad sample": (QualityMargin(0.4, -1.0), 1, 0.4),
}


@pytest.mark.parametrize(("rule", "multiply", "add"), FOLDED.values(), ids=FOLDED.keys())
def test_a_fold_falls_for_ever_and_its_slope_is_finite(rule, multiply, add):
    """From one pole to the other and at both: d target / d angle = -multiply |sin(multiply angle + add)|."""
    at = torch.tensor(
        [0.0, 1e-9, 0.2, 0.4, 0.5, 1.5, 2.7, 3.0, math.pi - 1e-9], dtype=torch.float64
    )
    own = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    x = torch.stack([at.cos(), at.sin()], dim=1).requires_grad_()
    one, angle = torch.ones_like(at), angle_between(unit(x)[0], own)
    target = rule(angle.cos(), Sample(one, one, angle.cos(), angle, angle.cos()))
    assert (target.diff() <= 1e-15).all()
    (gradient,) = torch.autograd.grad(target.sum(), x)
    turned = gradient @ own[0].flip(0) * at.cos() - gradient @ own[0] * at.sin()
    slope = -multiply * (multiply * at + add).sin().abs()
    torch.testing.assert_close(turned[1:], slope[1:], rtol=1e-6, atol=1e-6)
    assert turned[0] == 0
