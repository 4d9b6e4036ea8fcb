"""What the equation asks of an engine, and what an engine may hand on."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from gonio.engines.workspace import Workspace
from gonio.ranks import ALONE, Ranks
from gonio.rules.curve import Curve
from gonio.rules.facts import Sample
from gonio.rules.pool import Pool
from gonio.rules.score import Score


class Query(NamedTuple):
    """A question about a batch: the pool over all columns but the own ones of each row."""

    x: Tensor
    """(rows, dim), normalised where the score says so."""
    sample: Sample
    """Facts of each row, (rows,)."""
    labels: Tensor
    """(rows, k) int64: columns with any of these labels are no negatives of the row; -1 is none."""
    negative: Curve
    pool: Pool
    score: Score
    bound: float | None = None
    """Scores lie in [-bound, bound]; None where nobody knows."""
    has_offset: bool = True
    """Whether the offsets of the columns are added."""

    def of(self, rows: slice | Tensor) -> "Query":
        """The question about some rows."""
        sample = self.sample.map(lambda fact: fact[rows])
        return self._replace(x=self.x[rows], sample=sample, labels=self.labels[rows])


class Held(NamedTuple):
    """Columns that this process holds."""

    weight: Tensor
    """(columns, dim) or (columns, centers, dim), not normalised."""
    offset: Tensor | None = None
    """(columns,), added to the scores."""
    labels: Tensor | None = None
    """(columns,) int64: whose each column is; None where column j is class j."""


@dataclass(frozen=True)
class Capabilities:
    """What an engine can do.

    Args:
        hands_over: it can hand the gradient of the weight to an `Update`, tile by tile.
        owns_gradient: the gradient of the weight is a buffer of its own, which others may add to.
    """

    hands_over: bool = False
    owns_gradient: bool = False


class Engine(ABC):
    """Answers a query over the columns that are held: settings, and nothing that changes.

    It is differentiable in x, in the facts of the sample, and in the weight and the offset.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return Capabilities()

    @abstractmethod
    def __call__(
        self, query: Query, held: Held, workspace: Workspace, ranks: Ranks = ALONE
    ) -> Tensor:
        """(rows,) values of the pool, or (rows, k).

        Args:
            query: the question.
            held: the columns of this process.
            workspace: of the head that asks.
            ranks: the processes that hold the other columns, and ask the same.
        """
