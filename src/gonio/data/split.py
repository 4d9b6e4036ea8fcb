"""Parts of a set of images: some of its identities, and identities kept apart for evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gonio.base.errors import ConfigError, DataError
from gonio.data.images import Images


@dataclass(frozen=True, eq=False)
class SelectedImages:
    """A view of some identities of `source`, numbered anew; no pixel is copied."""

    source: Images
    indices: Tensor
    labels: Tensor
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def files(self) -> tuple[str, ...]:
        """The name of each image, such as alice/1.jpg."""
        return self._chosen(self.source.files)

    @property
    def digests(self) -> tuple[str, ...]:
        """SHA-256 of what each image holds."""
        return self._chosen(self.source.digests)

    def read(self, indices: Sequence[int]) -> Tensor:
        """Return the images at `indices` of the view, `(k, channels, height, width)` uint8."""
        chosen = self.indices[torch.as_tensor(indices, dtype=torch.int64)]
        return self.source.read(chosen.tolist())

    def _chosen(self, of_source: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(of_source[index] for index in self.indices.tolist())


def select_identities(images: Images, identities: Sequence[int]) -> Images:
    """View the images of some identities.

    Args:
        images: Where the identities are.
        identities: Different labels of `images`; `identities[i]` is label `i` of the view.

    Returns:
        A view with the images in their old order and the identities' old names.

    Raises:
        ValueError: Where an identity is named twice or is not in `images`.
    """
    count = len(images.names)
    if len(set(identities)) < len(identities):
        raise ValueError(f"identities must differ from one another, got {list(identities)}")
    if unknown := [identity for identity in identities if not 0 <= identity < count]:
        raise ValueError(f"identities must be in [0, {count}), got {unknown[0]}")
    renumbered = torch.full((count,), -1)
    renumbered[torch.as_tensor(identities, dtype=torch.int64)] = torch.arange(len(identities))
    labels = renumbered[images.labels]
    indices = (labels >= 0).nonzero().squeeze(1)
    names = tuple(images.names[identity] for identity in identities)
    return SelectedImages(images, indices, labels[indices], names)


def split_by_identity(images: Images, unseen: float, seed: int) -> tuple[Images, Images]:
    """Keep identities apart that training never sees, as open-set verification asks.

    The split depends on the labels, `unseen` and `seed` alone. Two identities with two images or
    more are always among those kept apart, for without them there is no genuine pair and no
    impostor pair; and two are always left, for one alone has nothing to be told from.

    Args:
        images: The images to split.
        unseen: The share of the identities to keep apart, in [0, 1), rounded to whole
            identities; 0 trains on all of them.
        seed: Chooses the identities.

    Returns:
        The images to train on, and those of the unseen identities.

    Raises:
        ConfigError: Where `unseen` is not in [0, 1).
        DataError: Where there are too few identities or too few images of them.
    """
    if not 0 <= unseen < 1:
        raise ConfigError(f"unseen must be a share of the identities in [0, 1), got {unseen}")
    total = len(images.names)
    if total < LEAST:
        raise DataError(f"training needs two identities to tell apart, got {total}")
    if unseen == 0:
        return images, select_identities(images, [])
    counts = torch.bincount(images.labels, minlength=total).tolist()
    order = torch.randperm(total, generator=torch.Generator().manual_seed(seed)).tolist()
    paired = [identity for identity in order if counts[identity] >= 2]
    if len(paired) < LEAST or total < 2 * LEAST:
        raise DataError(
            f"there are {total} identities, {len(paired)} of them with two images or more; keeping "
            "unseen ones apart needs two with two images or more, and training two others; add some, "
            "or train on all of them with unseen = 0"
        )
    order = paired[:LEAST] + [identity for identity in order if identity not in paired[:LEAST]]
    apart = min(max(round(unseen * total), LEAST), total - LEAST)
    return (
        select_identities(images, sorted(order[apart:])),
        select_identities(images, sorted(order[:apart])),
    )


LEAST = 2
"""Identities on either side, so that there is one to tell from another."""
