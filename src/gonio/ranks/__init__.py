"""All communication between the processes of a run. Nothing outside of this room talks to another process.

The processes gather a batch once; from there on each runs the program of one process with the whole
batch, and counts the losses of its own samples alone. So gradients are sums over the processes.
"""

import torch.distributed as dist

from gonio.ranks.alone import Alone
from gonio.ranks.group import Group
from gonio.ranks.seam import Ranks

__all__ = ["ALONE", "Alone", "Group", "Ranks", "is_distributed", "present_ranks"]

ALONE = Alone()


def is_distributed() -> bool:
    """Whether several processes run together."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def present_ranks() -> Ranks:
    """All processes of the default group; this one where it runs alone."""
    return Group() if is_distributed() else ALONE
