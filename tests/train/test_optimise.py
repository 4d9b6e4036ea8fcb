import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import gonio
from gonio.train.config import OptimiseConfig
from gonio.train.optimise import build_optimizer, learning_rate


@given(st.integers(1, 500), st.floats(0, 0.99))
def test_the_learning_rate_rises_to_its_highest_and_falls_towards_zero(steps, warmup):
    config = OptimiseConfig(lr=0.3, warmup=warmup)
    rates = [learning_rate(step, steps, config) for step in range(steps)]
    top = rates.index(max(rates))
    assert all(0 < rate <= 0.3 for rate in rates)
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert top <= warmup * steps


def test_the_learning_rate_at_its_landmarks():
    config = OptimiseConfig(lr=1.0, warmup=0.2)
    assert learning_rate(0, 100, config) == pytest.approx(1 / 20)
    assert learning_rate(20, 100, config) == pytest.approx(1.0)
    assert learning_rate(60, 100, config) == pytest.approx(0.5)
    assert learning_rate(99, 100, config) < 1e-3


def test_only_matrices_and_kernels_are_decayed():
    head = gonio.Head(4, 3, loss=gonio.losses.normface(scale="learned"))
    model = nn.ModuleDict(
        {"backbone": nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)), "head": head}
    )
    optimizer = build_optimizer(model, OptimiseConfig(weight_decay=0.5))
    decay = {
        id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]
    }
    by_name = {name: decay[id(parameter)] for name, parameter in model.named_parameters()}
    assert {name for name, one in by_name.items() if one} == {"backbone.0.weight", "head.weight"}
    assert by_name["head.raw_scale"] == 0
    assert len(by_name) == len(decay)
