"""What every source of images looks like to the rest of the library."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor


class Images(Protocol):
    """Labelled images of one size, read by index."""

    @property
    def labels(self) -> Tensor:
        """The identity of each image, `(n,)` int64 in `[0, len(names))`."""

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each identity."""

    @property
    def files(self) -> tuple[str, ...]:
        """The name of each image, such as alice/1.jpg."""

    @property
    def digests(self) -> tuple[str, ...]:
        """SHA-256 of what each image holds."""

    def __len__(self) -> int: ...

    def read(self, indices: Sequence[int]) -> Tensor:
        """Return the images at `indices`, `(k, channels, height, width)` uint8."""


@dataclass(frozen=True, eq=False)
class ArrayImages:
    """Images held in memory.

    Attributes:
        pixels: `(n, channels, height, width)` uint8.
        labels: `(n,)` int64 in `[0, len(names))`.
        names: The name of each identity.

    Raises:
        ValueError: Where a shape, a dtype or a label is not as above.
    """

    pixels: Tensor
    labels: Tensor
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.pixels.dtype != torch.uint8 or self.pixels.ndim != 4:
            raise ValueError(
                "pixels must be uint8 of shape (n, channels, height, width), got "
                f"{self.pixels.dtype} of shape {tuple(self.pixels.shape)}"
            )
        if self.labels.dtype != torch.int64 or self.labels.shape != self.pixels.shape[:1]:
            raise ValueError(
                f"labels must be int64 of shape ({len(self.pixels)},), one for each image, got "
                f"{self.labels.dtype} of shape {tuple(self.labels.shape)}"
            )
        outside = (self.labels < 0) | (self.labels >= len(self.names))
        if outside.any():
            raise ValueError(
                f"labels must be in [0, {len(self.names)}), one of the {len(self.names)} names, "
                f"got {self.labels[outside][0].item()}"
            )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def files(self) -> tuple[str, ...]:
        """The number of each image."""
        return tuple(map(str, range(len(self))))

    @cached_property
    def digests(self) -> tuple[str, ...]:
        """SHA-256 of the pixels of each image."""
        return tuple(hashlib.sha256(image.tobytes()).hexdigest() for image in self.pixels.numpy())

    def read(self, indices: Sequence[int]) -> Tensor:
        """Return the images at `indices`, `(k, channels, height, width)` uint8."""
        return self.pixels[torch.as_tensor(indices, dtype=torch.int64)]


def to_float(pixels: Tensor) -> Tensor:
    """Scale uint8 pixels to float32 in [-1, 1], the input of every backbone."""
    if pixels.dtype != torch.uint8:
        raise ValueError(f"pixels must be uint8 in [0, 255], got {pixels.dtype}")
    return pixels.float() / 127.5 - 1
