"""All checks on one loss, and the smallest input that shows a failure."""

from collections.abc import Callable, Iterator

from gonio.contract.batch import Batch, Sizes
from gonio.contract.compiled import compiles_whole
from gonio.contract.finite import at_extreme_norms, at_the_poles
from gonio.contract.gradient import is_the_derivative, is_the_same_twice
from gonio.contract.labels import leaves_ignored_rows_out, refuses_labels_out_of_range
from gonio.contract.order import (
    keeps_samples_apart,
    permutes_with_classes,
    permutes_with_samples,
)
from gonio.contract.precision import (
    keeps_its_digits_in_bfloat16,
    keeps_its_digits_in_float16,
    leaves_the_weight_its_dtype,
)
from gonio.contract.subject import Subject
from gonio.contract.value import equals_its_formula, falls_with_the_target_angle
from gonio.contract.verdict import Verdict, failed

Check = Callable[[Subject, Batch], Verdict]

CHECKS: dict[str, Check] = {
    "value is the formula's": equals_its_formula,
    "gradient is the derivative": is_the_derivative,
    "target falls with its angle": falls_with_the_target_angle,
    "finite at cosine ±1": at_the_poles,
    "finite at zero and huge norms": at_extreme_norms,
    "float16 embeddings": keeps_its_digits_in_float16,
    "bfloat16 embeddings": keeps_its_digits_in_bfloat16,
    "ignored label": leaves_ignored_rows_out,
    "labels out of range": refuses_labels_out_of_range,
    "order of samples": permutes_with_samples,
    "samples do not meet": keeps_samples_apart,
    "numbers of classes": permutes_with_classes,
    "dtype of the weight": leaves_the_weight_its_dtype,
    "second backward": is_the_same_twice,
    "torch.compile": compiles_whole,
}
"""What a loss is held to, by the name in the table."""

LADDER = (Sizes(2, 3), Sizes(3, 3), Sizes(3, 4))
"""Sizes at which a failure is looked for again."""


def examine(subject: Subject, check: Check, sizes: Sizes) -> Verdict:
    """The verdict of one check at these sizes; a failure is shown by the smallest input that has it."""
    batch = subject.batch(sizes)
    verdict = _verdict(subject, check, batch)
    if verdict.status != "fail":
        return verdict
    for smaller in _smaller(subject, batch):
        again = _verdict(subject, check, smaller)
        if (again.status, again.raised) == ("fail", verdict.raised):
            return again
    return verdict


def _verdict(subject: Subject, check: Check, batch: Batch) -> Verdict:
    """The verdict of a check; that the loss raises an error is a failure."""
    try:
        return check(subject, batch)
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
