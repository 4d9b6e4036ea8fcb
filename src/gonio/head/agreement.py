"""Notices class weights that drift apart: each process moves its copy by the samples of its own alone."""

import warnings

import torch
from torch import Tensor

from gonio.ranks import present_ranks

LOOKS = 3
"""Training batches at whose beginning the copies are compared: one step is enough to move them apart."""


@torch.compiler.disable  # type: ignore[untyped-decorator]
@torch.no_grad()
def check_agreement(weight: Tensor) -> None:
    """Warn where the copies of a weight differ between the processes. Every process must call it."""
    ranks = present_ranks()
    if ranks.size == 1:
        return
    rows = weight.detach().sum(dim=-1, dtype=torch.float64).flatten()
    signs = (torch.arange(len(rows), device=rows.device) % 7 - 3).double()
    mine = torch.stack([rows.sum(), rows @ signs])[None]
    every = ranks.collect(mine, [1] * ranks.size)
    if not bool((every == every[0]).all()):
        warnings.warn(
            f"head.weight: it differs between the {ranks.size} ranks, so each trains classes of its own; wrap "
            "backbone and head in one module, and that in DistributedDataParallel",
            stacklevel=4,
        )
