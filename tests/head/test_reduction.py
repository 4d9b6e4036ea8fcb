"""What becomes of the losses of samples, at weights of any unit."""

import pytest
import torch

from gonio.head.reduction import reduced

LOSSES = torch.tensor([0.5, 3.0, 0.0, 7.0])
WEIGHT = torch.tensor([1.0, 0.25, 1.0, 0.0], dtype=torch.float64)
MEAN = (LOSSES * WEIGHT).sum() / WEIGHT.sum()


def mean(*weights):
    return reduced(LOSSES, weights, "mean", None, len(LOSSES))


@pytest.mark.parametrize("unit", [1e-300, 1e-40, 1e38, 1e300])
def test_the_mean_does_not_depend_on_the_unit_of_a_weight(unit):
    wanted = MEAN.float()
    torch.testing.assert_close(mean(unit * WEIGHT), wanted)
    equal = torch.full_like(LOSSES, 3e38)
    torch.testing.assert_close(mean(unit * WEIGHT, equal), wanted)


def test_the_mean_has_a_gradient_in_the_weights():
    def of(weight):
        return reduced(LOSSES.double(), [WEIGHT, weight], "mean", None, len(LOSSES))

    weight = torch.tensor([2.0, 1.0, 0.5, 0.1], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(of, weight)


@pytest.mark.parametrize("reduction", ["sum", "none"])
def test_a_weight_beyond_float32_is_never_not_a_number(reduction):
    found = reduced(LOSSES, [torch.full_like(WEIGHT, 1e300)], reduction, None, len(LOSSES))
    assert found.dtype == torch.float32
    assert not found.isnan().any()
