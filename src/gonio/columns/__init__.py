"""Columns: what a batch is compared with. Each file is one kind; the equation knows none of them."""

from gonio.columns.batch import BatchColumns
from gonio.columns.drawn import Drawn
from gonio.columns.joined import Joined
from gonio.columns.replicated import Replicated
from gonio.columns.seam import Columns
from gonio.columns.sharded import Shard, Sharded
from gonio.columns.weights import ClassWeights

__all__ = [
    "BatchColumns",
    "ClassWeights",
    "Columns",
    "Drawn",
    "Joined",
    "Replicated",
    "Shard",
    "Sharded",
]
