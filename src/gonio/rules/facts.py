"""The ground floor: what a part of a loss may know, of a sample, of a batch, and of what the head keeps.

Nothing here knows a formula. A rule sees a `Sample`; quantities, statistics and terms see `Facts`.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from torch import Tensor

from gonio.base.opaque import rows_at


class Sample(NamedTuple):
    """What a rule may know about a sample. Every field is (batch,), and (batch, 1) inside a tile."""

    scale: Tensor
    """s_i > 0."""
    norm: Tensor
    """|x_i| before normalisation."""
    cosine: Tensor
    """c_iy: the score of the own class before any rule; the cosine where x is normalised."""
    angle: Tensor
    """The angle to the own class, in radians, in [0, pi]."""
    target: Tensor
    """t_i: the score of the own class after the target rule."""

    def column(self) -> "Sample":
        """The same facts as (batch, 1), to meet a tile of classes."""
        return Sample(*(fact[:, None] for fact in self))


class AtLabels(NamedTuple):
    """A change of some rows of what is kept for each class."""

    labels: Tensor
    """(rows,) int64; a class may come several times."""
    values: Tensor
    """(rows, ...), to be added."""


Change = Tensor | AtLabels
"""What an update makes of a kept tensor: its new value, or what is added to some of its rows."""


class Memory(NamedTuple):
    """What the head keeps between batches. Nobody writes to it but the head, after all checks."""

    kept: Mapping[str, Tensor] = {}
    """Learned numbers and running statistics by name."""
    step: int = 0
    """Training batches seen before this one."""
    is_training: bool = False
    changes: Mapping[str, Change] = {}
    """What this batch makes of some of them."""

    def read(self, name: str) -> Tensor:
        """A kept tensor, with its change; what is learned keeps its gradient."""
        kept, change = self.kept[name], self.changes.get(name)
        if isinstance(change, AtLabels):
            return kept.index_add(0, change.labels, change.values)
        if change is None:
            return kept
        return kept + (change - kept).detach() if kept.requires_grad else change

    def after(self, changes: Mapping[str, Change]) -> "Memory":
        """The memory with further changes."""
        return self._replace(changes={**self.changes, **changes})


class PoolOverColumns(Protocol):
    """`(rule, pool) -> (rows,)`: a pool over all negatives of each row, beside the loss's own.

    x, if given, are (rows, dim) directions to stand in the place of the embeddings.
    """

    def __call__(
        self, rule: Any, pool: Any, *, scale: float = 1.0, x: Tensor | None = None
    ) -> Tensor: ...


class Facts(NamedTuple):
    """What a quantity, a statistic or a term may know. A row is a sample with one of its labels."""

    labels: Tensor
    """(rows,) int64."""
    embeddings: Tensor
    """(rows, dim), not normalised."""
    x: Tensor
    """(rows, dim): their directions."""
    own: Tensor
    """(rows, dim): direction of the own class's weight, of its nearest centre if it has several."""
    centers: Tensor
    """(rows, centers, dim): directions of all of its centres."""
    norm: Tensor
    """(rows,): |x|."""
    cosine: Tensor
    """(rows,): the own score before any rule; the cosine where x is normalised."""
    angle: Tensor
    """(rows,): the own angle in radians."""
    memory: Memory
    pool_over_columns: PoolOverColumns

    def kept(self, name: str) -> Tensor:
        """(rows, ...): what is kept for the class of each row, such as its margin."""
        return rows_at(self.memory.read(name), self.labels)
