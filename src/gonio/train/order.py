"""Which images a step sees: a pure function of the seed and the step, so that no state is kept."""

import itertools
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor


def batches_per_epoch(count: int, batch_size: int) -> int:
    """Whole batches in an epoch of `count` images; one, if smaller, where there is no whole one."""
    return max(count // batch_size, 1)


def epoch_order(count: int, seed: int, epoch: int) -> Tensor:
    """(count,) int64: the images in the order of an epoch."""
    mixed = int(np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint64)[0])
    return torch.randperm(count, generator=torch.Generator().manual_seed(mixed))


def batches(count: int, batch_size: int, seed: int, start: int) -> Iterator[Tensor]:
    """Indices (batch_size,) of the images of step `start`, of the next one, and so on without end."""
    per_epoch = batches_per_epoch(count, batch_size)
    first_epoch, consumed = divmod(start, per_epoch)
    for epoch in itertools.count(first_epoch):
        order = epoch_order(count, seed, epoch)
        for batch in range(consumed, per_epoch):
            yield order[batch * batch_size : (batch + 1) * batch_size]
        consumed = 0
