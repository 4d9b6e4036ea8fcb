"""What the equation asks of the columns that a batch is compared with."""

from abc import ABC, abstractmethod

from torch import Tensor

from gonio.engines.seam import Query
from gonio.rules.facts import Embedded, Fact, Lazy


class Own(Lazy):
    """What embeddings score against their own columns, (rows,) each."""

    def __init__(self, cosine: Fact, angle: Fact, norm: Fact, offset: Fact | None) -> None:
        super().__init__(cosine=cosine, angle=angle, norm=norm)
        self.offset = offset if offset is None or isinstance(offset, Tensor) else offset()

    @property
    def cosine(self) -> Tensor:
        """The score before any rule: a cosine, an inner product, or the best of several centres."""
        return self._read("cosine")

    @property
    def angle(self) -> Tensor:
        """In radians, to the nearest centre where there are several."""
        return self._read("angle")

    @property
    def norm(self) -> Tensor:
        """Of the column's weight."""
        return self._read("norm")


class Columns(ABC):
    """What a batch is compared with, wherever it is. It serves one batch, and asks for its own first."""

    num: int
    """Of all processes."""

    @abstractmethod
    def own(self, embedded: Embedded, labels: Tensor) -> Own:
        """(rows,) embeddings against the columns of (rows, k) labels -> (rows k,) facts, row by row."""

    @abstractmethod
    def directions(self, labels: Tensor) -> Tensor:
        """(n,) labels -> (n, centers, dim): the directions of their columns."""

    @abstractmethod
    def pool(self, query: Query) -> Tensor:
        """(rows,) or (rows, k): the query's pool over all columns but the own ones."""

    def weighted_sum(self, query: Query, weight: Tensor) -> Tensor:
        """(rows,): the sum of the same scores, each times the (columns,) weight of its column.

        Raises:
            NotImplementedError: columns that are no classes.
        """
        raise NotImplementedError(f"{type(self).__name__}: its columns have no weights of classes")
