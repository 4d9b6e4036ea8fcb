"""Is the loss finite where directions meet, where they vanish, and where numbers are huge."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from gonio.contract.batch import Batch
from gonio.contract.subject import Subject
from gonio.contract.verdict import Verdict, at_most


def at_the_poles(subject: Subject, batch: Batch) -> Verdict:
    """Embeddings on their class weight and opposite to it, on a coordinate axis and off it.

    On an axis the cosine is 1 to the last bit. Where there are no class weights, another embedding
    of the same label, then of another, takes the weight's place.
    """
    return _is_finite(subject, _poles(subject, batch), "at cosine ±1")


def at_extreme_norms(subject: Subject, batch: Batch) -> Verdict:
    """Embeddings of norm 0, 1e-30 and 1e30."""
    return _is_finite(subject, _norms(subject, batch), "at norms 0, 1e-30 and 1e30")


def _poles(subject: Subject, batch: Batch) -> Iterator[Batch]:
    axis = batch.weight.clone()
    axis[0], axis[0, :, 0] = 0, 2
    for weight in (axis, batch.weight):
        for sign in (1, -1):
            yield from _samples(subject, replace(batch, weight=weight), sign * weight[0, 0])


def _norms(subject: Subject, batch: Batch) -> Iterator[Batch]:
    for factor in (0, 1e-30, -1e-30, 1e30, -1e30):
        yield from _samples(subject, batch, factor * batch.embeddings[0])


def _samples(subject: Subject, batch: Batch, embedding: Tensor) -> Iterator[Batch]:
    """An embedding of class 0 and of class 1; where no weights are, beside one of class 0."""
    for label in (0, 1):
        if subject.layout is None:
            rows, labels = torch.stack([batch.weight[0, 0], embedding]), [0, label]
        else:
            rows = embedding.expand(subject.fewest, -1)
            labels = [label] * subject.fewest
        yield replace(batch, embeddings=rows, labels=torch.tensor(labels))


def _is_finite(subject: Subject, inputs: Iterable[Batch], where: str) -> Verdict:
    """Loss and gradients are finite in every precision that has numbers that large."""
    tried = [one.to(dtype) for one in inputs for dtype in subject.precisions]
    tried = [one for one in tried if one.embeddings.isfinite().all()]
    broken = {number: _broken(subject, one) for number, one in enumerate(tried)}
    failures = [
        number
        for number, names in broken.items()
        if names and not _overflows(subject, tried[number])
    ]
    what = f"of {len(tried)} inputs {where}, how many are not finite"
    if not failures:
        return at_most(0, 0, what)
    parts = sorted({name for number in failures for name in broken[number]})
    return at_most(0, len(failures), f"{what}: {', '.join(parts)}", tried[failures[0]])


def _broken(subject: Subject, batch: Batch) -> list[str]:
    """What is not finite."""
    try:
        result = subject.run(batch)
    except Exception as error:
        return [f"raises {type(error).__name__}"]
    return [name for name, value in result.named().items() if not value.isfinite().all()]


def _overflows(subject: Subject, batch: Batch) -> bool:
    """Whether what is asked for is finite, but beyond the largest number of its dtype."""
    if batch.dtype == torch.float64:
        return False
    try:
        result = subject.run(batch.to(torch.float64))
    except Exception:
        return False
    largest = max(float(value.abs().max()) for value in result.named().values())
    return torch.finfo(batch.dtype).max < largest < math.inf
