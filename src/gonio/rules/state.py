"""What a part of a loss keeps between batches: learned numbers and running statistics.

A part that is `Stateful` says by `states` which tensors it needs; the head makes them, as parameters if
they are learned and as buffers if not, so that they are trained, saved and moved with it. A `Statistic`
is asked at each training batch what becomes of them. Its answer is a value: only the head writes, once,
after every check of the batch has passed.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from gonio.rules.facts import Change, Facts


class Sizes(NamedTuple):
    """What a state may depend on."""

    num_classes: int
    embedding_dim: int
    counts: Tensor | None = None
    """(classes,): training samples of each class; None where they are not known."""

    def known_counts(self, name: str) -> Tensor:
        """The counts, for a part that cannot do without.

        Raises:
            ValueError: they are not known.
        """
        if self.counts is None:
            raise ValueError(
                f"class_counts: {name} needs the number of training samples of each class; build the "
                "head with class_counts=torch.bincount(labels, minlength=num_classes)"
            )
        return self.counts


@dataclass(frozen=True)
class State:
    """A tensor that a part of a loss keeps in the head.

    Args:
        shape: of the tensor; () for a number, (classes,) for one of each class.
        start: its first value, a number or a tensor of its shape; None for an int64 seed that is
            drawn from torch's global generator.
        is_learned: whether the optimizer changes it (a parameter) or the part itself (a buffer).
    """

    shape: tuple[int, ...]
    start: float | Tensor | None
    is_learned: bool = False

    @property
    def is_per_class(self) -> bool:
        """Whether it has a row for each class; all others are single numbers."""
        return bool(self.shape)

    def dtype(self, learned: torch.dtype) -> torch.dtype:
        """Of the tensor: that of what is learned, and no statistic in less than float32."""
        if self.start is None:
            return torch.int64
        return learned if self.is_learned else torch.promote_types(learned, torch.float32)

    def fill(self, tensor: Tensor) -> None:
        """Write the first value into it."""
        if self.start is None:
            tensor.random_()
        elif isinstance(self.start, Tensor):
            tensor.copy_(self.start)
        else:
            tensor.fill_(self.start)


class Stateful(ABC):
    """A part that keeps something."""

    @property
    def reads_step(self) -> bool:
        """Whether it asks for the training step."""
        return False

    @property
    def sees_batch(self) -> bool:
        """Whether what it gives for a sample depends on the rest of its batch."""
        return False

    @abstractmethod
    def states(self, sizes: Sizes) -> Mapping[str, State]:
        """What it keeps between batches, by name."""


class Statistic(Stateful):
    """A part that changes what it keeps with each training batch."""

    @property
    def sees_batch(self) -> bool:
        """It does."""
        return True

    @property
    def is_current(self) -> bool:
        """Whether a batch already sees what it changes."""
        return True

    @abstractmethod
    def update(self, facts: Facts) -> Mapping[str, Change]:
        """What a training batch, one row for each sample, makes of what is kept. Nothing is written."""


def parts(part: object) -> Iterator[object]:
    """A frozen dataclass and every part inside it, in order; each part once."""
    seen = set()

    def walk(one: object) -> Iterator[object]:
        if isinstance(one, tuple):
            for item in one if _holds_parts(one) else ():
                yield from walk(item)
        elif is_dataclass(one) and not isinstance(one, type) and id(one) not in seen:
            seen.add(id(one))
            yield one
            for field in fields(one):
                yield from walk(getattr(one, field.name))

    return walk(part)


def _holds_parts(items: tuple[object, ...]) -> bool:
    """Whether a tuple has parts in it, and not one number for each of a million classes."""
    return bool(items) and is_dataclass(items[0])


def states(part: object, sizes: Sizes) -> dict[str, State]:
    """Every state that a part, and the parts inside it, ask for, by name.

    Raises:
        ValueError: two different parts ask for the same name.
    """
    found: dict[str, State] = {}
    owners: dict[str, Stateful] = {}
    for one in parts(part):
        if not isinstance(one, Stateful):
            continue
        for name, state in one.states(sizes).items():
            if name in found and owners[name] != one:
                raise ValueError(
                    f"loss: {owners[name]} and {one} both keep {name!r}; a loss has room for one"
                )
            found[name], owners[name] = state, one
    return found
