import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gonio.base.geometry import angle_between, angle_of, inverse_norms, unit

EXPONENTS = st.integers(min_value=-30, max_value=30)


@given(EXPONENTS)
def test_direction_does_not_depend_on_the_norm(exponent):
    vector = torch.tensor([[3.0, -4.0, 12.0]])
    direction, norm = unit(vector * 10.0**exponent)
    torch.testing.assert_close(direction, vector / 13)
    assert norm.item() == pytest.approx(13 * 10.0**exponent, rel=1e-6)


def test_zero_has_no_direction_and_no_gradient():
    vectors = torch.tensor([[0.0, 0.0], [1e-42, 0.0], [3.0, 4.0]], requires_grad=True)
    direction, norm = unit(vectors)
    (direction.sum() + norm.sum()).backward()
    assert direction[:2].tolist() == [[0, 0], [0, 0]]
    assert vectors.grad[:2].tolist() == [[0, 0], [0, 0]]
    assert (vectors.grad[2] != 0).all()


@given(st.floats(min_value=0, max_value=math.pi))
def test_angle_is_exact_up_to_both_ends(angle):
    a = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    b = torch.tensor([[math.cos(angle), math.sin(angle)]], dtype=torch.float64)
    assert angle_between(a, b).item() == pytest.approx(angle, abs=4e-16, rel=1e-15)


@pytest.mark.parametrize("angle", [1e-6, 1e-3, 1.0, math.pi - 1e-3, math.pi - 1e-6])
def test_the_gradient_of_an_angle_is_a_unit_tangent(angle):
    a = torch.tensor([[2.0, 0.0]], dtype=torch.float64, requires_grad=True)
    b = torch.tensor([[math.cos(angle), math.sin(angle)]], dtype=torch.float64)
    angle_between(unit(a)[0], b).sum().backward()
    # turning towards b, divided by the norm 2; arccos would be off by 1e-4 at these ends
    torch.testing.assert_close(
        a.grad, torch.tensor([[0.0, -0.5]], dtype=torch.float64), atol=1e-9, rtol=0
    )


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_at_the_poles_the_gradient_is_zero_not_nan(sign):
    a = torch.tensor([[0.6, 0.8]], requires_grad=True)
    angle = angle_between(unit(a)[0], sign * torch.tensor([[0.6, 0.8]]))
    angle.sum().backward()
    assert angle.item() == pytest.approx(0 if sign > 0 else math.pi, abs=1e-7)
    assert a.grad.norm() <= 1 + 1e-6


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_angle_of_a_cosine_has_a_finite_slope_at_and_beyond_the_poles(dtype):
    eps = torch.finfo(dtype).eps
    cosine = torch.tensor([-1 - eps, -1, -0.3, 0, 0.9, 1, 1 + eps], dtype=dtype, requires_grad=True)
    angle = angle_of(cosine)
    torch.testing.assert_close(
        angle, cosine.detach().clamp(-1, 1).acos(), atol=2.1 * eps**0.5, rtol=0
    )
    assert (angle.diff() < 0).all()
    (slope,) = torch.autograd.grad(angle.sum(), cosine)
    assert (slope.abs() <= 0.26 / eps**0.5).all()
    assert (slope < 0).all()


def test_the_slope_of_the_angle_of_a_cosine_is_its_derivative():
    cosine = torch.linspace(-0.99, 0.99, 9, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(angle_of, cosine)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_inverse_norms_are_those_of_the_directions(dtype):
    factors = torch.tensor([1.0, 1e-30, 1e30, 0.0, 1e-36, 3e4, 1e-18, 1e18])[:, None]
    rows = (factors * (torch.rand(8, 3) + 0.1)).to(dtype)
    found = rows.to(torch.float32) * inverse_norms(rows, torch.float32)[:, None]
    torch.testing.assert_close(found, unit(rows.to(torch.float32))[0])
    many = torch.randn(9001, 3)
    expected = 1 / many.norm(dim=1)
    torch.testing.assert_close(inverse_norms(many, torch.float32), expected)
