"""What an engine needs from one batch to the next: memory, and what it has to tell. It is the head's own."""

import copy
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from gonio.engines.buffer import Buffer


class Update(Protocol):
    """Takes the gradient of the class weights piece by piece, so that the whole never exists."""

    def take(self, rows: slice | Tensor, gradient: Tensor) -> None:
        """Rows of the flattened weight, as a range or as ascending indices, and their gradient.

        It is what the negatives add, (rows, dim). Rows that are never taken have none.
        """

    def add(self, classes: Tensor, gradient: Tensor) -> None:
        """(n,) own classes of a batch, and what something else than their score adds, (n, ...)."""

    def finish(self, classes: Tensor, gradient: Tensor | None) -> None:
        """(n,) own classes of a batch, after all else, and what they add, (n, ...) as in the weight."""


@dataclass
class LastStep:
    """What an engine has to tell of its last backward pass."""

    rows: int = 0
    """Samples of the batch."""
    rows_in_backward: int = 0
    """Samples whose push on the negatives was followed."""
    error_bound: float = 0.0
    """Largest possible Euclidean norm of the error in the gradient of all directions; 0 is exact."""

    def begin(self, rows: int) -> None:
        """A pass in which everything takes part."""
        self.rows = self.rows_in_backward = rows
        self.error_bound = 0.0


def gradient_buffer() -> Buffer:
    """For the gradient of a whole weight."""
    return Buffer(
        "the gradient of the class weights",
        "head.attach_optimizer(optimizer) moves them without it",
    )


def stash_buffer() -> Buffer:
    """For the products of a batch."""
    return Buffer(
        "the products kept for backward",
        "Chunked(mode='recompute') keeps none",
    )


@dataclass
class Workspace:
    """See the module's text.

    Args:
        gradient: memory of the weight's gradient, or of that of the drawn classes.
        spread: memory of the weight's gradient where `gradient` is of the drawn classes.
        stash: memory of products.
        last_step: what there is to tell.
        update: what takes the gradient of the weight, tile by tile; None leaves it to autograd.
    """

    gradient: Buffer = field(default_factory=gradient_buffer)
    spread: Buffer = field(default_factory=gradient_buffer)
    stash: Buffer = field(default_factory=stash_buffer)
    last_step: LastStep = field(default_factory=LastStep)
    update: Update | None = None

    def into(self, update: Update | None) -> "Workspace":
        """The same memory, where the gradient of the weight is taken."""
        other = copy.copy(self)
        other.update = update
        return other

    def clear(self) -> None:
        """Give the memory of the weight's gradient back, until it is needed again."""
        self.gradient.clear()
        self.spread.clear()
