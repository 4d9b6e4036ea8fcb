"""The truth: the whole matrix at once, differentiated by autograd, in any dtype."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gonio.engines import tile
from gonio.engines.memory import needing
from gonio.engines.seam import Engine, Held, Query
from gonio.engines.workspace import Workspace
from gonio.ranks import ALONE, Ranks


@dataclass(frozen=True)
class Reference(Engine):
    """The engine. Stores (rows, columns) several times over."""

    def __call__(
        self, query: Query, held: Held, workspace: Workspace, ranks: Ranks = ALONE
    ) -> Tensor:
        """See `Engine`.

        Raises:
            ValueError: other processes hold some of the columns.
        """
        if ranks.size > 1:
            raise ValueError(
                f"backend: {self} needs all columns in one process; take backend='chunked'"
            )
        size = len(query.x) * len(held.weight) * query.x.element_size()
        with needing("the matrix of all scores", size, "backend='chunked' never makes it"):
            cosine = tile.products(query.x, held.weight, query.score)
            scores = tile.modulated(cosine, held.offset, query.sample, query.negative)
            is_own = tile.is_own(query.labels, held.labels, len(held.weight))
            scores = scores.masked_fill(is_own, -torch.inf)
            if len(held.weight) == 0:  # a score that takes no part
                scores = torch.nn.functional.pad(scores, (0, 1), value=-torch.inf)
            return query.pool.value(query.pool.fold(scores))
