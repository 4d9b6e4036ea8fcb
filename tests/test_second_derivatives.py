"""Gradients that are differentiated again, where directions and angles have no derivative."""

import pytest
import torch

import gonio
from gonio import losses

DIM, CLASSES = 4, 6


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", losses.names())
def test_second_derivatives_are_finite_at_both_poles_and_at_zero(name, dtype):
    counts = torch.arange(1, CLASSES + 1)
    head = gonio.Head(DIM, CLASSES, name, backend="reference", class_counts=counts, dtype=dtype)
    head.eval()
    parameters = list(head.parameters())
    own = torch.ones(CLASSES, DIM, dtype=dtype)  # the batch itself
    if head.weight is not None:
        own = head.weight.detach().view(CLASSES, -1, DIM)[:, 0]
    for at in (1.0, -1.0, 0.0):
        x = (at * own[:2]).requires_grad_()
        labels = torch.tensor([0, 1] if head.weight is not None else [0, 0])
        (first,) = torch.autograd.grad(head(x, labels), x, create_graph=True)
        assert first.isfinite().all()
        if first.requires_grad:  # else it is constant
            wanted = x, *parameters
            second = torch.autograd.grad(first.sum(), wanted, allow_unused=True)
            assert all(one is None or bool(one.isfinite().all()) for one in second), at
