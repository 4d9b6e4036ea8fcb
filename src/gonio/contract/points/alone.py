"""What the loss makes of a batch of one sample."""

from gonio.contract.batch import Batch
from gonio.contract.subject import Subject
from gonio.contract.verdict import Verdict, at_most, not_applicable


def is_finite_for_a_batch_of_one(subject: Subject, batch: Batch) -> Verdict:
    """The last batch of an epoch may be one sample: the loss is a number, or says that it wants more."""
    if subject.fewest > 1:
        return not_applicable("it refuses a batch of one")
    broken = [
        one
        for one in batch.singles()
        if not all(part.isfinite().all() for part in subject.run(one).named().values())
    ]
    what = f"of {len(batch.labels)} batches of one, how many are not finite"
    return at_most(0, len(broken), what, next(iter(broken), None))
