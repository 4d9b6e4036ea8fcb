"""What is asked of processes that share a batch."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

State = tuple[Tensor, ...]


class Ranks(ABC):
    """Processes with a batch in common. Every one of them must make each of these calls, in one order."""

    rank: int
    size: int

    @abstractmethod
    def counts(self, count: int) -> list[int]:
        """What each process gives, in their order."""

    @abstractmethod
    def gather(self, rows: Tensor, counts: list[int]) -> Tensor:
        """(rows, ...) of this process -> those of all. Backward sums what every process makes of them."""

    @abstractmethod
    def collect(self, rows: Tensor, counts: list[int]) -> Tensor:
        """The same for what only the losses of its own process depend on: nothing is said in backward."""

    @abstractmethod
    def sum(self, values: Tensor, path: Tensor) -> Tensor:
        """The sum over the processes, there and back.

        `path` is what every process differentiates, such as the embeddings: one that adds nothing of
        its own has no other way to `values`, and would miss the call that the others wait for in
        backward.
        """

    @abstractmethod
    def merged(self, state: State, merge: Callable[[State, State], State]) -> State:
        """The states of all processes as one, without a gradient."""

    def mine(self, rows: Tensor, counts: list[int]) -> Tensor:
        """(all rows, ...) -> those of this process."""
        return torch.split(rows, counts)[self.rank] if self.size > 1 else rows
