"""Class weights and a queue of past embeddings, as one table and as two."""

import pytest
import torch

from gonio.columns import BatchColumns, ClassWeights, Joined
from gonio.engines import Chunked
from gonio.engines.workspace import Workspace
from gonio.equation import margin_loss
from gonio.loss import Loss
from gonio.rules import (
    COSINE,
    AngularMargin,
    Fixed,
    KthLargest,
    LogSumExp,
    OneVersusRest,
    SoftplusSum,
    Sum,
)
from gonio.targets import Targets

CLASSES, QUEUED, DIM = 5, 7, 3
QUEUE_LABELS = torch.arange(CLASSES, CLASSES + QUEUED)
"""Of classes that have no weight."""
TARGETS = Targets(torch.tensor([[0], [4], [2], [2]]))


def columns(weight):
    return ClassWeights(weight, COSINE, Chunked(2), Workspace())


def queued(embeddings, labels=QUEUE_LABELS):
    return BatchColumns(embeddings, labels, COSINE, Chunked(2), Workspace())


def gradients(join, loss):
    torch.manual_seed(0)
    x, weight, queue = (
        torch.randn(rows, DIM, dtype=torch.float64, requires_grad=True)
        for rows in (4, CLASSES, QUEUED)
    )
    losses = margin_loss(x, TARGETS, loss, join(weight, queue)).losses
    losses.sum().backward()
    return losses.detach(), x.grad, weight.grad, queue.grad


@pytest.mark.parametrize(
    "parts",
    [
        {"pool": LogSumExp(), "target": AngularMargin(add=0.3)},
        {"pool": LogSumExp(temperature=0.0)},
        {"pool": Sum()},
        {"pool": SoftplusSum(), "penalty": OneVersusRest()},
    ],
    ids=lambda parts: str(parts["pool"]),
)
def test_joined_columns_are_one_table_of_all(parts):
    loss = Loss(Fixed(8.0), **parts)
    apart = gradients(lambda w, q: Joined([columns(w), queued(q)]), loss)
    together = gradients(lambda w, q: columns(torch.cat([w, q])), loss)
    for one, other in zip(apart, together, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_a_pool_that_needs_more_than_values_is_refused():
    loss = Loss(Fixed(8.0), pool=KthLargest(2))
    with pytest.raises(TypeError, match=r"pool: KthLargest.*join its states"):
        gradients(lambda w, q: Joined([columns(w), queued(q)]), loss)


def test_past_embeddings_of_the_own_class_are_no_negatives():
    loss = Loss(Fixed(8.0))
    of_class_2 = torch.full_like(QUEUE_LABELS, 2)
    found = gradients(lambda w, q: Joined([columns(w), queued(q, of_class_2)]), loss)[0]
    alone = gradients(lambda w, q: columns(w), loss)[0]
    others = gradients(lambda w, q: Joined([columns(w), queued(q)]), loss)[0]
    assert torch.equal(found[2:], alone[2:])
    torch.testing.assert_close(found[:2], others[:2])
