"""The batch itself as columns: each embedding is compared with the others."""

import torch
from torch import Tensor

from gonio.base.geometry import angle_between, unit
from gonio.columns.seam import Columns, Own
from gonio.engines.seam import Engine, Held, Query
from gonio.engines.workspace import Workspace
from gonio.rules.facts import Embedded
from gonio.rules.score import Score

BLOCK = 2**22
"""Products of the batch with itself that are seen at once."""


class BatchColumns(Columns):
    """Embeddings as columns, whose labels are places in the batch. A sample is never its own column.

    Args:
        embeddings: (batch, dim), not normalised.
        labels: (batch,): of which class each is; columns of the own class are no negatives.
        score: what is normalised before the product.
        engine: computes the pools.
        workspace: of the head.
        offset: () for all columns alike.
    """

    def __init__(
        self,
        embeddings: Tensor,
        labels: Tensor,
        score: Score,
        engine: Engine,
        workspace: Workspace,
        offset: Tensor | None = None,
    ) -> None:
        self.num, self.score = len(labels), score
        self._engine, self._workspace = engine, workspace
        self._embeddings, self._labels, self._offset = embeddings, labels, offset

    def own(self, embedded: Embedded, labels: Tensor) -> Own:
        """See `Columns`."""
        size = max(1, BLOCK // max(1, self.num))
        side = embedded.x if self.score.unit_embedding else embedded.embeddings
        products = [
            (part @ side.T).gather(1, places)
            for part, places in zip(
                torch.split(side, size),
                torch.split(labels, size),
                strict=True,
            )
        ]
        cosine, flat = torch.cat(products).flatten(), labels.flatten()

        def angle() -> Tensor:
            return angle_between(
                embedded.x.repeat_interleave(labels.shape[1], dim=0), embedded.x[flat]
            )

        offset = None if self._offset is None else self._offset.expand(len(flat))
        return Own(cosine, angle, lambda: embedded.norm[flat], offset)

    def directions(self, labels: Tensor) -> Tensor:
        """See `Columns`."""
        return unit(self._embeddings[labels])[0][:, None]

    def pool(self, query: Query) -> Tensor:
        """See `Columns`. The query's labels are classes, not places."""
        offset = None if self._offset is None else self._offset.expand(self.num)
        held = Held(self._embeddings, offset, self._labels)
        return self._engine(query, held, self._workspace)


def partners(labels: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """(batch,) classes -> (batch, k) places of the others of the same class, and how much each counts.

    -1, with a mass of 0, fills rows with fewer than k.
    """
    is_pair = labels[:, None] == labels
    is_pair.fill_diagonal_(False)
    count = is_pair.sum(dim=1)
    width = max(1, int(count.amax())) if len(labels) else 1
    row, column = is_pair.nonzero(as_tuple=True)
    places = labels.new_full((len(labels), width), -1)
    places[row, is_pair.cumsum(dim=1)[row, column] - 1] = column
    return places, (places >= 0).to(dtype) / count.clamp(min=1)[:, None]
