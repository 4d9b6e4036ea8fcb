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
    would be smaller is filled up from the identity's first ones. Then it shuffles the groups and cuts
    them into batches that differ by one group at most, so that no image is left out.

    Args:
        labels: (n,) identities of the images, n >= 1.
        batch_size: images in a batch at most, in whole groups; one group more where it would be left
            alone.
        per_identity: images in a group, >= 1, <= `batch_size`.
        seed: in [0, 2^63).
    """

    labels: Tensor
    batch_size: int
    per_identity: int
    seed: int

    @property
    def per_epoch(self) -> int:
        """Batches in an epoch."""
        full = self.batch_size // self.per_identity
        return max(min(-(-self._groups // full), self._groups // 2), 1)

    @property
    def images_per_batch(self) -> float:
        """Images in a batch on average."""
        return self._groups * self.per_identity / self.per_epoch

    @property
    def incomplete(self) -> int:
        """Identities with fewer images than a group has: in it, an image meets itself."""
        counts = self.labels.bincount()
        return int(((counts > 0) & (counts < self.per_identity)).sum())

    def since(self, start: int) -> Iterator[Tensor]:
        """Indices of the images of step `start`, of the next one, and so on without end."""
        first_epoch, consumed = divmod(start, self.per_epoch)
        for epoch in itertools.count(first_epoch):
            batches = self._epoch(epoch).tensor_split(self.per_epoch)
            yield from (groups.flatten() for groups in batches[consumed:])
            consumed = 0

    @property
    def _groups(self) -> int:
        return int(self._groups_of(self.labels.bincount()).sum())

    def _groups_of(self, images: Tensor) -> Tensor:
        """Numbers of images -> numbers of groups."""
        return -(-images // self.per_identity)

    def _epoch(self, epoch: int) -> Tensor:
        """(groups, per_identity) images in the order of an epoch."""
        mixed = int(np.random.SeedSequence((self.seed, epoch)).generate_state(1, np.uint64)[0])
        generator = torch.Generator().manual_seed(mixed)
        groups = self._dealt(generator)
        return groups[torch.randperm(len(groups), generator=generator)]

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
