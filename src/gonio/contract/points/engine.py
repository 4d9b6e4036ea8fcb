"""Does the engine change what the loss is."""

from gonio.contract.batch import Batch
from gonio.contract.subject import Subject
from gonio.contract.verdict import Verdict, at_most, not_applicable, worst_of

ALLOWED = 1e-9
"""Rounding of sums in another order, in float64."""


def agrees_with_another_engine(subject: Subject, batch: Batch) -> Verdict:
    """Value and every gradient, against the whole matrix under autograd, in float64."""
    if subject.reference is None:
        return not_applicable("it has one way of being computed")
    found, truth = subject.run(batch).named(), subject.reference.run(batch).named()
    part, error = worst_of(
        {
            name: (found[name] - value).abs() / (1 + value.abs().amax())
            for name, value in truth.items()
        }
    )
    return at_most(ALLOWED, error, f"largest error against the reference engine ({part})", batch)
