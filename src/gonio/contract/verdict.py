"""What a point finds."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from gonio.contract.batch import Batch

Status = Literal["pass", "fail", "not applicable"]


@dataclass(frozen=True)
class Verdict:
    """The answer of one point."""

    status: Status
    what: str
    """What `number` counts or measures, and what is allowed; why, where a point does not apply."""
    number: float | None = None
    smallest: Batch | None = None
    """The input that shows a failure."""
    raised: str = ""
    """The type of the exception that was the failure."""


def at_most(allowed: float, number: float, what: str, shown_by: Batch | None = None) -> Verdict:
    """Pass where a number is at most what is allowed; NaN is not."""
    number = math.inf if math.isnan(number) else number
    what = f"{what}; at most {allowed:g} is allowed" if allowed else what
    if number <= allowed:
        return Verdict("pass", what, number)
    return Verdict("fail", what, number, shown_by)


def not_applicable(why: str, number: float | None = None) -> Verdict:
    """The point says nothing about this loss."""
    return Verdict("not applicable", why, number)


def failed(error: Exception, shown_by: Batch) -> Verdict:
    """The loss raises an error where it has to give a number."""
    raised = type(error).__name__
    return Verdict("fail", f"raises {raised}: {error}", smallest=shown_by, raised=raised)


def worst_of(errors: Mapping[str, Tensor]) -> tuple[str, float]:
    """The part with the largest error, and that error; NaN is the largest."""
    sizes = {name: float(one.amax().nan_to_num(math.inf)) for name, one in errors.items()}
    worst = max(sizes, key=lambda name: sizes[name])
    return worst, sizes[worst]
