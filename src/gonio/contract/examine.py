"""A point asked of a loss, and the smallest input that shows a failure."""

from collections.abc import Iterator

from gonio.contract.batch import Batch, Sizes
from gonio.contract.point import Point
from gonio.contract.subject import Subject
from gonio.contract.verdict import Verdict, failed

LADDER = (Sizes(2, 3), Sizes(3, 3), Sizes(3, 4))
"""Sizes at which a failure is looked for again."""


def examine(subject: Subject, point: Point, sizes: Sizes) -> Verdict:
    """The verdict of one point at these sizes; a failure is shown by the smallest input that has it."""
    batch = subject.batch(sizes)
    verdict = _verdict(subject, point, batch)
    if verdict.status != "fail":
        return verdict
    for smaller in _smaller(subject, batch):
        again = _verdict(subject, point, smaller)
        if (again.status, again.raised) == ("fail", verdict.raised):
            return again
    return verdict


def _verdict(subject: Subject, point: Point, batch: Batch) -> Verdict:
    """The verdict of a point; that the loss raises an error is a failure."""
    try:
        return point.check(subject, batch)
    except Exception as error:
        return failed(error, batch)


def _smaller(subject: Subject, batch: Batch) -> Iterator[Batch]:
    """Fewer samples first, then fewer classes and dimensions."""
    samples = len(batch.labels)
    sizes = [one for one in LADDER if all(a <= b for a, b in zip(one, batch.sizes, strict=True))]
    made = [subject.batch(one) for one in sizes] + [batch]
    for count in (1, 2, samples):
        for one in made:
            yield from (
                one.rows(*range(start, start + count)) for start in range(samples - count + 1)
            )
