"""The equation as a function of embeddings and weights, through torch.func."""

import pytest
import torch

import gonio
from gonio import losses
from gonio.engines import Chunked
from gonio.head.functional import margin_loss

X = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LABELS = torch.tensor([0, 4, 2, 2])


def kept_of(head):
    return {key: one.detach() for key, one in head.state_dict().items() if key != "weight"}


@pytest.mark.parametrize(
    "name", ["softmax", "arcface", "npcface", "sub-center-arcface", "ring-loss"]
)
def test_it_is_what_a_head_computes(name):
    head = gonio.Head(3, 5, name, dtype=torch.float64).eval()
    weight, x = head.weight.detach(), X.clone().requires_grad_()
    wanted = head(x, LABELS, reduction="none")
    for engine in ({}, {"engine": Chunked(2)}):
        found = margin_loss(X, weight, LABELS, name, kept=kept_of(head), **engine)
        torch.testing.assert_close(found, wanted)
    wanted.sum().backward()

    def total(x, weight):
        return margin_loss(x, weight, LABELS, name, kept=kept_of(head)).sum()

    of_x, of_weight = torch.func.grad(total, argnums=(0, 1))(X, weight)
    torch.testing.assert_close(of_x, x.grad)
    torch.testing.assert_close(of_weight, head.weight.grad)


def test_schedules_have_run():
    loss = losses.cosface(margin=gonio.Ramp(0.0, 0.4, 10), scale=8.0)
    weight = torch.randn(5, 3)
    found = margin_loss(X.float(), weight, LABELS, loss)
    torch.testing.assert_close(
        found, margin_loss(X.float(), weight, LABELS, losses.cosface(margin=0.4, scale=8.0))
    )


def test_what_has_no_class_weights_is_refused():
    with pytest.raises(ValueError, match="loss: it compares"):
        margin_loss(X, torch.randn(5, 3), LABELS, "supcon")
    with pytest.raises(ValueError, match="labels: 5 is out of range"):
        margin_loss(X, torch.randn(5, 3), LABELS + 1, "arcface")
