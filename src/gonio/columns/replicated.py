"""Columns that every process holds whole: each pools for the rows of its own, and all learn the values."""

from torch import Tensor

from gonio.columns.seam import Columns, Own
from gonio.engines.seam import Query
from gonio.ranks import Ranks
from gonio.rules.facts import Embedded


class Replicated(Columns):
    """Columns beside a batch that was gathered from several processes.

    Only the losses of its own rows are counted by a process, so that of a pool over the rows of others
    nothing flows back.

    Args:
        columns: the same in all processes.
        ranks: the processes.
        counts: how many rows each of them gave to the batch.
    """

    def __init__(self, columns: Columns, ranks: Ranks, counts: list[int]) -> None:
        self.columns, self.num = columns, columns.num
        self._ranks, self._counts = ranks, counts

    def own(self, embedded: Embedded, labels: Tensor) -> Own:
        """See `Columns`."""
        return self.columns.own(embedded, labels)

    def directions(self, labels: Tensor) -> Tensor:
        """See `Columns`."""
        return self.columns.directions(labels)

    def pool(self, query: Query) -> Tensor:
        """See `Columns`. A question about several rows for each sample is about all of a sample's."""
        mine, counts = self._mine(query)
        return self._ranks.collect(self.columns.pool(mine), counts)

    def weighted_sum(self, query: Query, weight: Tensor) -> Tensor:
        """See `Columns`."""
        mine, counts = self._mine(query)
        return self._ranks.collect(self.columns.weighted_sum(mine, weight), counts)

    def _mine(self, query: Query) -> tuple[Query, list[int]]:
        per_sample = len(query.x) // max(1, sum(self._counts))
        counts = [count * per_sample for count in self._counts]
        first = sum(counts[: self._ranks.rank])
        return query.of(slice(first, first + counts[self._ranks.rank])), counts
