"""Labels that are no class: the one that is to be ignored, and those that are mistakes."""

from dataclasses import replace

import torch
from torch import Tensor

from gonio.contract.batch import Batch
from gonio.contract.points.order import allowed
from gonio.contract.points.value import NO_WEIGHT
from gonio.contract.subject import Subject
from gonio.contract.verdict import Verdict, at_most, not_applicable

IGNORED = -1
ALONE = "what a row adds is seen beside another row"


def leaves_ignored_rows_out(subject: Subject, batch: Batch) -> Verdict:
    """A row with the ignored label has no gradient, and changes that of others by a factor alone."""
    if subject.ignoring is None:
        return not_applicable("its constructor takes no ignore_index")
    if len(batch.labels) <= subject.fewest:
        return not_applicable(ALONE)
    ignoring = replace(subject, make=subject.ignoring)
    part, with_it = trained_part(ignoring, batch, IGNORED)
    what = f"part of the gradient that comes from a row with the ignored label {IGNORED}"
    return at_most(allowed(subject, batch), part, what, with_it)


def refuses_labels_out_of_range(subject: Subject, batch: Batch) -> Verdict:
    """A label that is no class ends in an error, or the row is left out; it is never trained."""
    if subject.layout is None:
        return not_applicable(f"{NO_WEIGHT}, so any number may be a label")
    if len(batch.labels) <= subject.fewest:
        return not_applicable(ALONE)
    classes = batch.sizes.num_classes
    trained = {}
    for label in (-1, classes, classes + 1000):
        try:
            part, with_it = trained_part(subject, batch, label)
        except Exception:
            continue
        if not part <= allowed(subject, batch):
            trained[label] = with_it
    which = f": {', '.join(map(str, trained))}" if trained else ""
    what = f"labels out of range [0, {classes}) that are trained without an error{which}"
    return at_most(0, len(trained), what, next(iter(trained.values()), None))


def trained_part(subject: Subject, batch: Batch, label: int) -> tuple[float, Batch]:
    """How much of the gradient comes from the first row if it has a label that is no class.

    Returns:
        0 where the row is left out, from the mean or from the sum, else up to 1; and that batch.
    """
    mistaken = replace(batch, labels=torch.cat([torch.tensor([label]), batch.labels[1:]]))
    found = subject.run(mistaken).gradients
    right = subject.run(batch.rows(*range(1, len(batch.labels)))).gradients
    first, others = found["embeddings"][:1], found["embeddings"][1:]
    with_it = _joined(found | {"embeddings": others})
    without = _joined(right)
    # a mean over all rows divides by one more than a mean over those that count
    factor = with_it @ without / (without @ without).clamp(min=1e-30)
    rest = torch.cat([first.flatten(), with_it - factor * without])
    size = torch.cat([first.flatten(), with_it]).norm().clamp(min=1e-30)
    return float(rest.norm() / size), mistaken


def _joined(gradients: dict[str, Tensor]) -> Tensor:
    return torch.cat([gradient.flatten() for gradient in gradients.values()])
