"""Several columns as one: class weights beside a queue of past embeddings, say."""

from collections.abc import Sequence
from functools import reduce

from torch import Tensor

from gonio.columns.seam import Columns, Own
from gonio.engines.seam import Query
from gonio.rules.facts import Embedded


class Joined(Columns):
    """The own columns are among the first; all others are negatives, unless they bear the same labels.

    Args:
        columns: one or more.

    Raises:
        TypeError: by `pool`, a pool whose value does not tell enough to be joined with another.
    """

    def __init__(self, columns: Sequence[Columns]) -> None:
        self.columns, self.num = tuple(columns), sum(one.num for one in columns)

    def own(self, embedded: Embedded, labels: Tensor) -> Own:
        """See `Columns`."""
        return self.columns[0].own(embedded, labels)

    def directions(self, labels: Tensor) -> Tensor:
        """See `Columns`."""
        return self.columns[0].directions(labels)

    def pool(self, query: Query) -> Tensor:
        """See `Columns`."""
        return reduce(query.pool.joined, (one.pool(query) for one in self.columns))
