"""Class weights of which each process holds a part."""

import torch
from torch import Tensor

from gonio.columns.seam import Own
from gonio.columns.weights import ClassWeights, centers_of
from gonio.engines.seam import Engine, Query
from gonio.engines.workspace import Workspace
from gonio.ranks import Ranks
from gonio.rules.facts import AtLabels, Embedded
from gonio.rules.score import Score


class Shard:
    """The classes `first` to `first + size - 1` of `num`, which this process keeps; it may be none.

    Args:
        first: of them.
        size: how many they are, >= 0.
        num: of all processes.
        ranks: the processes, each with a part.
    """

    def __init__(self, first: int, size: int, num: int, ranks: Ranks) -> None:
        self.first, self.size, self._num, self.ranks = first, size, num, ranks

    def num(self, table: Tensor) -> int:
        """See `gonio.rules.facts.Classes`."""
        return self._num

    def places(self, labels: Tensor) -> Tensor:
        """Labels -> their places in the shard; -1 for classes of others."""
        is_here = (labels >= self.first) & (labels < self.first + self.size)
        return (labels - self.first).masked_fill(~is_here, -1)

    def rows(self, table: Tensor, labels: Tensor) -> Tensor:
        """See `gonio.rules.facts.Classes`. The owner of a class tells all."""
        places = self.places(labels)
        (here,) = (places >= 0).nonzero(as_tuple=True)
        none = table.new_zeros(len(labels), *table.shape[1:])
        return self.ranks.sum(none.index_put((here,), table[places[here]]), table)

    def added(self, table: Tensor, change: AtLabels) -> Tensor:
        """See `gonio.rules.facts.Classes`."""
        places = self.places(change.labels)
        (here,) = (places >= 0).nonzero(as_tuple=True)
        return table.index_add(0, places[here], change.values[here])

    def total(self, values: Tensor) -> Tensor:
        """See `gonio.rules.facts.Classes`."""
        return self.ranks.sum(values, values)


class Sharded(ClassWeights):
    """The class weights of a shard. Every process has the whole batch, and asks the same.

    No row of the weight travels but for the terms that ask for directions: the owner of a class
    computes what its samples score.
    """

    def __init__(
        self,
        weight: Tensor,
        score: Score,
        engine: Engine,
        workspace: Workspace,
        shard: Shard,
        offset: Tensor | None = None,
    ) -> None:
        super().__init__(weight, score, engine, workspace, offset)
        self.shard, self.num = shard, shard.num(weight)
        self.ranks, self.first = shard.ranks, shard.first

    def own(self, embedded: Embedded, labels: Tensor) -> Own:
        """See `Columns`."""
        per_row = labels.shape[1]
        places = self.shard.places(labels.flatten())
        (here,) = (places >= 0).nonzero(as_tuple=True)
        some = embedded.map(lambda fact: fact[here // per_row])
        local = ClassWeights(
            self.held.weight, self.score, self.engine, self.workspace, self.held.offset
        )
        mine = local.own(some, places[here][:, None])
        self.held = local.held
        facts = [mine.cosine, mine.angle, mine.norm]
        facts += [] if mine.offset is None else [mine.offset]
        none = embedded.embeddings.new_zeros(len(places), len(facts))
        every = none.index_put((here,), torch.stack(facts, dim=1))
        every = self.ranks.sum(every, embedded.embeddings)
        cosine, angle, norm, *offset = every.unbind(dim=1)
        return Own(cosine, angle, norm, offset[0] if offset else None)

    def directions(self, labels: Tensor) -> Tensor:
        """See `Columns`."""
        return centers_of(self.shard.rows(self.held.weight, labels))

    def places(self, labels: Tensor) -> Tensor:
        """See `ClassWeights`."""
        return self.shard.places(labels)

    def pool(self, query: Query) -> Tensor:
        """See `Columns`."""
        return super().pool(query._replace(labels=self.places(query.labels)))

    def weighted_sum(self, query: Query, weight: Tensor) -> Tensor:
        """See `Columns`."""
        mine = weight[self.shard.first : self.shard.first + self.shard.size]
        query = query._replace(labels=self.places(query.labels))
        return self.ranks.sum(super().weighted_sum(query, mine), query.x)
