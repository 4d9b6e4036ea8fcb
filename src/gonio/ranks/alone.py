"""One process, which has nobody to talk to."""

from collections.abc import Callable

from torch import Tensor

from gonio.ranks.seam import Ranks, State


class Alone(Ranks):
    """See `Ranks`."""

    rank, size = 0, 1

    def counts(self, count: int) -> list[int]:
        """Its own."""
        return [count]

    def gather(self, rows: Tensor, counts: list[int]) -> Tensor:
        """As they are."""
        return rows

    def collect(self, rows: Tensor, counts: list[int]) -> Tensor:
        """As they are."""
        return rows

    def sum(self, values: Tensor, path: Tensor) -> Tensor:
        """As they are."""
        return values

    def merged(self, state: State, merge: Callable[[State, State], State]) -> State:
        """As it is."""
        return state
