"""Which images a step sees: a pure function of the seed and the step, so that no state is kept."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Order:
    """The batches of a run.

    An epoch deals the images of each identity, shuffled, into groups of `per_identity`; a group that
    would be smaller is filled up from the identity's first ones. Then it shuffles the groups.

    Args:
        labels: (n,) identities of the images, n >= 1.
        batch_size: images in a batch, if there are so many, in whole groups.
        per_identity: images in a group, >= 1, <= `batch_size`.
        seed: in [0, 2^63).
    """

    labels: Tensor
    batch_size: int
    per_identity: int
    seed: int

    @property
    def per_epoch(self) -> int:
        """Whole batches in an epoch; one, if smaller, where there is no whole one."""
        return max(self._groups // self._groups_per_batch, 1)

    @property
    def images_per_batch(self) -> int:
        """Images in every batch."""
        return min(self._groups_per_batch, self._groups) * self.per_identity

    def since(self, start: int) -> Iterator[Tensor]:
        """Indices of the images of step `start`, of the next one, and so on without end."""
        first_epoch, consumed = divmod(start, self.per_epoch)
        for epoch in itertools.count(first_epoch):
            order = self._epoch(epoch)
            for batch in range(consumed, self.per_epoch):
                yield order[batch * self.images_per_batch : (batch + 1) * self.images_per_batch]
            consumed = 0

    @property
    def _groups_per_batch(self) -> int:
        return self.batch_size // self.per_identity

    @property
    def _groups(self) -> int:
        return int(self._groups_of(self.labels.bincount()).sum())

    def _groups_of(self, images: Tensor) -> Tensor:
        """Numbers of images -> numbers of groups."""
        return -(-images // self.per_identity)

    def _epoch(self, epoch: int) -> Tensor:
        """The images in the order of an epoch."""
        mixed = int(np.random.SeedSequence((self.seed, epoch)).generate_state(1, np.uint64)[0])
        generator = torch.Generator().manual_seed(mixed)
        groups = self._dealt(generator)
        return groups[torch.randperm(len(groups), generator=generator)].flatten()

    def _dealt(self, generator: torch.Generator) -> Tensor:
        """(groups, per_identity) images, identity after identity."""
        if self.per_identity == 1:
            return torch.arange(len(self.labels))[:, None]
        shuffled = torch.randperm(len(self.labels), generator=generator)
        images = shuffled[self.labels[shuffled].argsort(stable=True)]
        counts = self.labels.bincount()
        groups = self._groups_of(counts)
        identity = torch.arange(len(counts)).repeat_interleave(groups)
        number = torch.arange(len(identity)) - _starts(groups)[identity]
        place = number[:, None] * self.per_identity + torch.arange(self.per_identity)
        return images[_starts(counts)[identity][:, None] + place % counts[identity][:, None]]


def _starts(counts: Tensor) -> Tensor:
    """Where each part begins, if parts of these sizes lie one behind the other."""
    return counts.cumsum(0) - counts
