"""What a check finds."""

import math
from dataclasses import dataclass
from typing import Literal

from gonio.contract.batch import Batch

Status = Literal["pass", "fail", "not applicable"]


@dataclass(frozen=True)
class Verdict:
    """The answer of one check."""

    status: Status
    what: str
    """What `number` counts or measures, and what is allowed; why, where a check does not apply."""
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
    """The check says nothing about this loss."""
    return Verdict("not applicable", why, number)


def failed(error: Exception, shown_by: Batch) -> Verdict:
    """The loss raises an error where it has to give a number."""
    raised = type(error).__name__
    return Verdict("fail", f"raises {raised}: {error}", smallest=shown_by, raised=raised)
