"""What all ranks of a distributed run know together; alone, a process knows what it has.

Statistics are computed from the rows of all ranks, in their order, so every rank comes to the same
number, which is that of one process with the whole batch.
"""

import torch
import torch.distributed as dist
from torch import Tensor


def is_distributed() -> bool:
    """Whether several ranks run together."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def rows_of_all(values: Tensor) -> Tensor:
    """(rows, ...) of this rank -> (all rows, ...) of all ranks, in the order of the ranks.

    Every rank must call it; the number of rows may differ. Nothing flows back through it.
    """
    values = values.detach()
    if not is_distributed():
        return values
    sizes = _sizes(values)
    padded = values.new_zeros(max(sizes), *values.shape[1:])
    padded[: len(values)] = values
    gathered = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather(gathered, padded)
    return torch.cat([part[:size] for part, size in zip(gathered, sizes, strict=True)])


def place_of_rows(values: Tensor) -> tuple[int, int]:
    """(rows, ...) -> how many rows stand before those of this rank, and how many there are in all."""
    if not is_distributed():
        return 0, len(values)
    sizes = _sizes(values)
    return sum(sizes[: dist.get_rank()]), sum(sizes)


def _sizes(values: Tensor) -> list[int]:
    own = torch.tensor([len(values)], device=values.device)
    sizes = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(sizes, own)
    return [int(size) for size in sizes]
