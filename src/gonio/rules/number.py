"""Settings: a number, a schedule that gives one at each step, or a quantity that gives one a sample."""

import copy
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from gonio.rules.quantity import Quantity
from gonio.rules.schedule import Schedule

T = TypeVar("T")

Number = float | Schedule | Quantity
"""What most settings of a rule may be."""


def resolved(number: Number) -> float | Tensor:
    """The number itself; (rows,) where a quantity was put in.

    Raises:
        ValueError: a schedule or a quantity, which must have been replaced before.
    """
    if isinstance(number, Schedule):
        raise ValueError(f"{number} is a schedule; ask for its number first, by loss.at(step)")
    if isinstance(number, Quantity):
        raise ValueError(f"{number} is a quantity of a batch; loss.typical() has a number for it")
    return number


def replaced(part: T, kind: type, value: Callable[[Any], float | Tensor]) -> T:
    """`part` (a frozen dataclass, nested) with every setting of a kind replaced by its value."""
    if isinstance(part, kind):
        return value(part)  # type: ignore[return-value]
    if isinstance(part, tuple) and part and is_dataclass(part[0]):
        items = tuple(replaced(item, kind, value) for item in part)
        return part if all(map(_is, items, part)) else items  # type: ignore[return-value]
    if not is_dataclass(part) or isinstance(part, type):
        return part
    old = {field.name: getattr(part, field.name) for field in fields(part)}
    new = {name: replaced(setting, kind, value) for name, setting in old.items()}
    if all(new[name] is old[name] for name in old):
        return part
    changed = copy.copy(part)  # its settings were checked when it was made
    for name, setting in new.items():
        object.__setattr__(changed, name, setting)
    return changed


def at_step(part: T, step: int) -> T:
    """`part` with every schedule in it replaced by its number."""
    return replaced(part, Schedule, lambda schedule: schedule(step))


def at_step_in_tensors(part: T, step: int, dtype: torch.dtype) -> T:
    """Likewise, by () tensors: whoever compiles `part` takes them as arguments, and compiles once."""
    return replaced(part, Schedule, lambda schedule: torch.tensor(schedule(step), dtype=dtype))


def typical(part: T) -> T:
    """`part` once its schedules have run, for a typical sample: every setting is a number."""
    return replaced(at_step(part, FOR_EVER), Quantity, lambda quantity: quantity.typical())


FOR_EVER = 10**9
"""A step at which all schedules have run."""


def is_scheduled(part: object) -> bool:
    """Whether any number in `part` changes with the step."""
    return at_step(part, 0) is not part


def _is(one: object, other: object) -> bool:
    return one is other
