"""Samples and classes have no order, and samples do not meet."""

import torch
from torch import Tensor

from gonio.contract.batch import Batch
from gonio.contract.digits import rounding
from gonio.contract.points.value import NO_WEIGHT
from gonio.contract.subject import Subject
from gonio.contract.verdict import Verdict, at_most, not_applicable


def allowed(subject: Subject, batch: Batch) -> float:
    """The rounding of sums in another order, by the digits that the loss computes with."""
    return max(1e-9, 64 * rounding(subject, batch))


def permutes_with_samples(subject: Subject, batch: Batch) -> Verdict:
    """The gradient of a sample does not depend on its place in the batch."""
    order = torch.arange(len(batch.labels)).flip(0)
    found, moved = subject.run(batch), subject.run(batch.rows(*order.tolist()))
    error = max(
        _error(moved.value.sum(), found.value.sum()),
        _error(moved.gradients["embeddings"], found.gradients["embeddings"][order]),
    )
    return at_most(
        allowed(subject, batch), error, "largest change when the samples are reversed", batch
    )


def keeps_samples_apart(subject: Subject, batch: Batch) -> Verdict:
    """The loss of a batch is the mean, or the sum, of those of its samples."""
    if subject.meets:
        return not_applicable("its samples are there to meet each other")
    value, singles = subject.run(batch).value, subject.losses(batch)
    expected = [singles] if value.ndim else [singles.mean(), singles.sum() / subject.fewest]
    error = min(_error(value, one) for one in expected)
    return at_most(
        allowed(subject, batch),
        error,
        "difference between a batch and its samples one by one",
        batch,
    )


def permutes_with_classes(subject: Subject, batch: Batch) -> Verdict:
    """The numbers of the classes do not matter; what is kept for a class moves with it."""
    if subject.layout is None:
        return not_applicable(NO_WEIGHT)
    order = torch.arange(len(batch.weight)).roll(1)
    found, moved = subject.run(batch), subject.run(batch.renumbered(order))
    error = max(
        _error(moved.value, found.value),
        _error(moved.gradients["embeddings"], found.gradients["embeddings"]),
    )
    return at_most(
        allowed(subject, batch), error, "largest change when the classes are renumbered", batch
    )


def _error(found: Tensor, expected: Tensor) -> float:
    """The largest difference, relative to 1 + the largest number."""
    return float((found - expected).abs().amax() / (1 + expected.abs().amax()))
