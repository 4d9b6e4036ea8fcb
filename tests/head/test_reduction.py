"""What becomes of the losses of samples, at weights of any unit."""

import pytest
import torch

import gonio

UNITS = [1e-30, 1e-10, 1e10, 1e29]
WEIGHT = torch.tensor([1.0, 0.25, 1.0, 0.5], dtype=torch.float64)
X, LABELS = torch.eye(4) + 0.3, torch.arange(4)


def loss_of(weight, reduction="mean", sample_weight=None):
    torch.manual_seed(0)
    head = gonio.Head(4, 4, "cosface", class_weight=weight)
    return head(X, LABELS, sample_weight=sample_weight, reduction=reduction)


@pytest.mark.parametrize("unit", UNITS)
def test_the_mean_does_not_depend_on_the_unit_of_a_weight(unit):
    each = loss_of(None, "none")
    wanted = (each * WEIGHT).sum() / WEIGHT.sum()
    torch.testing.assert_close(loss_of(unit * WEIGHT), wanted.float())
    torch.testing.assert_close(loss_of(None, sample_weight=unit * WEIGHT), wanted.float())
    equal = torch.full((4,), 1e30)
    torch.testing.assert_close(loss_of(unit * WEIGHT, sample_weight=equal), wanted.float())


@pytest.mark.parametrize("reduction", ["sum", "none"])
def test_a_weight_beyond_float32_is_never_not_a_number(reduction):
    found = loss_of(None, reduction, torch.full((4,), 1e30, dtype=torch.float64))
    assert found.dtype == torch.float32
    assert not found.isnan().any()
