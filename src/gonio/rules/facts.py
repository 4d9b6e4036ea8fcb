"""The ground floor: what a part of a loss may know, of a sample, of a batch, and of what the head keeps.

Nothing here knows a formula. A rule sees a `Sample`; scales see `Embedded`; quantities, statistics and
terms see `Facts`. What costs something is computed when it is first read.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from torch import Tensor

from gonio.base.geometry import unit
from gonio.base.opaque import rows_at

Fact = Tensor | Callable[[], Tensor]
"""A tensor, or how to compute it."""


class Lazy:
    """Tensors by name."""

    def __init__(self, **facts: Fact) -> None:
        self._facts = facts

    def _read(self, name: str) -> Tensor:
        fact = self._facts[name]
        if not isinstance(fact, Tensor):
            fact = self._facts[name] = fact()
        return fact


class Sample(Lazy):
    """What a rule may know about a sample. Every fact is (batch,), and (batch, 1) inside a tile."""

    NAMES = ("scale", "norm", "cosine", "angle", "target")

    def __init__(self, scale: Fact, norm: Fact, cosine: Fact, angle: Fact, target: Fact) -> None:
        super().__init__(scale=scale, norm=norm, cosine=cosine, angle=angle, target=target)

    @property
    def scale(self) -> Tensor:
        """s_i > 0."""
        return self._read("scale")

    @property
    def norm(self) -> Tensor:
        """|x_i| before normalisation."""
        return self._read("norm")

    @property
    def cosine(self) -> Tensor:
        """c_iy: the score of the own class before any rule; the cosine where x is normalised."""
        return self._read("cosine")

    @property
    def angle(self) -> Tensor:
        """The angle to the own class, in radians, in [0, pi]."""
        return self._read("angle")

    @property
    def target(self) -> Tensor:
        """t_i: the score of the own class after the target rule."""
        return self._read("target")

    def facts(self) -> tuple[Tensor, ...]:
        """All of them, in order."""
        return tuple(map(self._read, self.NAMES))

    def map(self, change: Callable[[Tensor], Tensor]) -> "Sample":
        """Every fact changed alike, when it is read."""
        return Sample(*(lambda name=name: change(self._read(name)) for name in self.NAMES))

    def column(self) -> "Sample":
        """The same facts as (batch, 1), to meet a tile of classes."""
        return self.map(lambda fact: fact[:, None])


class Embedded(Lazy):
    """(rows, dim) embeddings, their directions and their norms."""

    def __init__(self, embeddings: Tensor) -> None:
        super().__init__()
        self.embeddings = embeddings

    @property
    def x(self) -> Tensor:
        """(rows, dim): their directions."""
        return self._split()[0]

    @property
    def norm(self) -> Tensor:
        """(rows,)."""
        return self._split()[1]

    def full(self, number: float) -> Tensor:
        """(rows,): the same number for each."""
        return self.embeddings.new_full((len(self.embeddings),), number)

    def map(self, change: Callable[[Tensor], Tensor]) -> "Embedded":
        """Other rows: each fact changed alike, when it is read."""
        other = Embedded(change(self.embeddings))
        other._facts = {"x": lambda: change(self.x), "norm": lambda: change(self.norm)}
        return other

    def __len__(self) -> int:
        return len(self.embeddings)

    def _split(self) -> tuple[Tensor, Tensor]:
        if not self._facts:
            x, norm = unit(self.embeddings)
            self._facts.update(x=x, norm=norm)
        return self._read("x"), self._read("norm")


class AtLabels(NamedTuple):
    """A change of some rows of what is kept for each class."""

    labels: Tensor
    """(rows,) int64; a class may come several times."""
    values: Tensor
    """(rows, ...), to be added."""


Change = Tensor | AtLabels
"""What an update makes of a kept tensor: its new value, or what is added to some of its rows."""


class Classes(Protocol):
    """Where the classes are whose numbers are kept."""

    def num(self, table: Tensor) -> int:
        """How many there are, of which a table keeps some."""

    def rows(self, table: Tensor, labels: Tensor) -> Tensor:
        """(n, ...): the rows of labels, of what is kept for each class."""

    def added(self, table: Tensor, change: AtLabels) -> Tensor:
        """What is kept for each class, with a change of some rows."""

    def total(self, values: Tensor) -> Tensor:
        """The sum over all that keep some of the classes."""


class Whole:
    """All classes are here."""

    def num(self, table: Tensor) -> int:
        """See `Classes`."""
        return len(table)

    def rows(self, table: Tensor, labels: Tensor) -> Tensor:
        """See `Classes`."""
        return rows_at(table, labels)

    def added(self, table: Tensor, change: AtLabels) -> Tensor:
        """See `Classes`."""
        return table.index_add(0, *change)

    def total(self, values: Tensor) -> Tensor:
        """See `Classes`."""
        return values


class Memory(NamedTuple):
    """What the head keeps between batches. Nobody writes to it but the head, after all checks."""

    kept: Mapping[str, Tensor] = {}
    """Learned numbers and running statistics by name."""
    step: int = 0
    """Training batches seen before this one."""
    is_training: bool = False
    changes: Mapping[str, Change] = {}
    """What this batch makes of some of them."""
    classes: Classes = Whole()
    """Where they are that numbers are kept of."""

    def read(self, name: str) -> Tensor:
        """A kept tensor, with its change; what is learned keeps its gradient."""
        kept, change = self.kept[name], self.changes.get(name)
        if isinstance(change, AtLabels):
            return self.classes.added(kept, change)
        if change is None:
            return kept
        return kept + (change - kept).detach() if kept.requires_grad else change

    def at(self, name: str, labels: Tensor) -> Tensor:
        """(n, ...): what is kept for the classes of labels."""
        return self.classes.rows(self.read(name), labels)

    def mean(self, name: str) -> Tensor:
        """(): the mean over all classes of a number that is kept for each."""
        kept = self.read(name)
        return self.classes.total(kept.sum()) / self.classes.num(kept)

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


class Facts(Lazy):
    """What a quantity, a statistic or a term may know. A row is a sample with one of its labels."""

    def __init__(
        self,
        labels: Tensor,
        memory: Memory,
        pool_over_columns: PoolOverColumns,
        **facts: Fact,
    ) -> None:
        super().__init__(**facts)
        self.labels, self.memory, self.pool_over_columns = labels, memory, pool_over_columns

    @property
    def embeddings(self) -> Tensor:
        """(rows, dim), not normalised."""
        return self._read("embeddings")

    @property
    def x(self) -> Tensor:
        """(rows, dim): their directions."""
        return self._read("x")

    @property
    def norm(self) -> Tensor:
        """(rows,): |x|."""
        return self._read("norm")

    @property
    def own(self) -> Tensor:
        """(rows, dim): direction of the own class's weight, of its nearest centre if it has several."""
        return self._read("own")

    @property
    def centers(self) -> Tensor:
        """(rows, centers, dim): directions of all of its centres."""
        return self._read("centers")

    @property
    def cosine(self) -> Tensor:
        """(rows,): the own score before any rule; the cosine where x is normalised."""
        return self._read("cosine")

    @property
    def angle(self) -> Tensor:
        """(rows,): the own angle in radians."""
        return self._read("angle")

    def kept(self, name: str) -> Tensor:
        """(rows, ...): what is kept for the class of each row, such as its margin."""
        return self.memory.at(name, self.labels)

    def sample(self, scale: Tensor, target: Fact | None = None) -> Sample:
        """What a rule may know of each row; before there is a target, the cosine stands for it."""
        names = "norm", "cosine", "angle"
        norm, cosine, angle = (lambda name=name: self._read(name) for name in names)
        return Sample(scale, norm, cosine, angle, cosine if target is None else target)

    def after(self, changes: Mapping[str, Change]) -> "Facts":
        """The same facts, where the memory has changed."""
        later = copy.copy(self)  # what has been computed stays so
        later.memory = self.memory.after(changes)
        return later

    def map(
        self,
        labels: Tensor,
        pool_over_columns: PoolOverColumns,
        **changes: Callable[[Tensor], Tensor],
    ) -> "Facts":
        """Other rows: each fact changed in its own way, when it is read."""
        facts = {
            name: lambda name=name, change=change: change(self._read(name))
            for name, change in changes.items()
        }
        return Facts(labels, self.memory, pool_over_columns, **facts)
