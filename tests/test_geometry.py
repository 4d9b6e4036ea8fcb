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
    direction = unit(a)[0]
    angle = angle_between(direction, sign * direction.detach())
    (1e6 * angle).sum().backward()
    assert angle.item() == pytest.approx(0 if sign > 0 else math.pi, abs=1e-7)
    assert a.grad.abs().amax() <= 1e-30


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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_slope_of_the_angle_of_a_cosine_keeps_its_digits(dtype):
    eps = torch.finfo(dtype).eps
    cosine = torch.linspace(-1 + 9 * eps, 1 - 9 * eps, 999, dtype=dtype, requires_grad=True)
    (slope,) = torch.autograd.grad(angle_of(cosine).sum(), cosine)
    c = cosine.detach().double().numpy().astype("longdouble")
    expected = torch.from_numpy((-1 / ((1 - c) * (1 + c)) ** 0.5).astype("float64"))
    torch.testing.assert_close(slope.double(), expected, rtol=4 * eps, atol=0)


def second_derivative(function, x, v):
    """Of function(x) in the direction v, again differentiated in x."""
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(function(x).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad((gradient * v).sum(), x)
    return second


SMOOTH = {
    "cos": lambda angle: angle.cos(),
    "cos of 3 times": lambda angle: (3 * angle).cos() / 9,
    "cos of 1.5 times": lambda angle: (1.5 * angle).cos() / 2.25,
    "square": lambda angle: -(angle**2) / 2,
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("function", SMOOTH.values(), ids=SMOOTH.keys())
def test_what_is_smooth_at_angle_0_has_its_second_derivative(function, dtype):
    """f = 1 - angle^2 / 2 + ...: minus the projection on the tangent, divided by the squared norm."""
    b = torch.tensor([[0.0, 1.0, 0.0]], dtype=dtype)
    v = torch.tensor([[1.0, 5.0, -2.0]], dtype=dtype)
    found = second_derivative(lambda x: function(angle_between(unit(x)[0], b)), 2 * b, v)
    torch.testing.assert_close(found, torch.tensor([[-0.25, 0, 0.5]], dtype=dtype))


@pytest.mark.parametrize("scale", [1e-20, 1.0, 65_536.0])
@pytest.mark.parametrize("at", [1.0, -1.0, 0.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_corner_and_a_zero_row_have_no_second_derivative(dtype, at, scale):
    b = torch.tensor([[0.0, 1.0, 0.0]], dtype=dtype)

    def function(x):
        return scale * (angle_between(unit(x)[0], b) + 0.5).cos()

    found = second_derivative(function, at * b, torch.ones_like(b))
    assert found.abs().amax() <= 1e-9 * scale


def test_second_derivatives_are_those_of_the_formula():
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    y = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)

    def function(x, y):
        (a, norms), (b, _) = unit(x), unit(y)
        return angle_between(a, b) * norms

    assert torch.autograd.gradcheck(function, (x, y))
    assert torch.autograd.gradgradcheck(function, (x, y))
