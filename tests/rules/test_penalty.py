import math

import pytest
import torch

from gonio.rules import PoolOnly, Softplus


def penalty(u, rule, dtype=torch.float64):
    pool = torch.tensor([u], dtype=dtype, requires_grad=True)
    value = rule(pool, torch.zeros(1, dtype=dtype))
    value.sum().backward()
    return value.item(), pool.grad.item()


@pytest.mark.parametrize("u", [-700.0, -30.0, -1.0, 0.0, 1.0, 19.9, 20.1, 25.0, 30.0])
def test_softplus_is_exact_where_the_usual_one_turns_linear(u):
    value, slope = penalty(u, Softplus())
    assert value == pytest.approx(max(u, 0) + math.log1p(math.exp(-abs(u))), rel=1e-15)
    assert slope == pytest.approx(math.exp(min(u, 0)) / (1 + math.exp(-abs(u))), rel=1e-14)


def test_softplus_keeps_its_slope_in_float32():
    assert penalty(-90.0, Softplus(), torch.float32)[1] > 0


def test_temperature_zero_is_the_hinge():
    assert penalty(2.5, Softplus(0)) == (2.5, 1.0)
    assert penalty(-2.5, Softplus(0)) == (0.0, 0.0)


def test_softplus_nears_the_hinge_as_the_temperature_falls():
    for temperature in (1.0, 0.1, 0.01):
        gap = penalty(0.0, Softplus(temperature))[0]
        assert gap == pytest.approx(temperature * math.log(2))


def test_the_pool_alone_leaves_the_target_out():
    assert penalty(3.0, PoolOnly()) == (3.0, 1.0)
