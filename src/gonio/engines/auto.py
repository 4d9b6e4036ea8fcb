"""The engine that suits the sizes."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gonio.engines.chunked import Chunked
from gonio.engines.reference import Reference
from gonio.engines.seam import Capabilities, Engine, Held, Query
from gonio.engines.workspace import Workspace
from gonio.ranks import ALONE, Ranks

WHOLE_MATRIX_LIMIT = 2**22
"""Elements up to which the scores and the directions of the weight are stored whole: 16 MiB in float32."""

CHUNKED, REFERENCE = Chunked(), Reference()


@dataclass(frozen=True)
class Auto(Engine):
    """`Reference` while the matrix is small and all in one process, else `Chunked`."""

    @property
    def capabilities(self) -> Capabilities:
        """Those of `Chunked`."""
        return CHUNKED.capabilities

    def __call__(
        self, query: Query, held: Held, workspace: Workspace, ranks: Ranks = ALONE
    ) -> Tensor:
        """See `Engine`."""
        rows = held.weight.flatten(0, -2).shape[0]
        is_small = max(query.x.shape) * rows <= WHOLE_MATRIX_LIMIT
        if not is_small or workspace.update is not None or ranks.size > 1:
            found: Tensor = CHUNKED(query, held, workspace, ranks)
            return found
        if torch.is_grad_enabled() and not torch.compiler.is_compiling():
            workspace.last_step.begin(len(query.x))
        return REFERENCE(query, held, workspace)
