"""A folder of images with one sub-folder for each identity."""

import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from gonio.base.durable import sha256
from gonio.base.errors import ConfigError, DataError
from gonio.base.text import first_few, shown
from gonio.data.decode import decode
from gonio.data.listing import Listing, list_files, misfit
from gonio.data.progress import track

MEMORY_BUDGET = 2 * 1024**3
"""Bytes of pixels up to which the images of a folder are kept in memory."""

Decoded = tuple[Tensor, str]
"""Pixels, and the SHA-256 of their file."""


@dataclass(frozen=True, eq=False)
class FolderImages:
    """The readable images of a folder.

    Attributes:
        root: The folder.
        files: The path of each image in it, with slashes.
        digests: SHA-256 of each file.
        labels: The identity of each image, `(n,)` int64 in `[0, len(names))`.
        names: The sub-folder of each identity, sorted.
        skipped: The files that could not be read, each with the reason.
        size: Height and width that images are resized to, in pixels.
        channels: 1 for grey, 3 for RGB.
        pixels: The images, or None where `read` opens their files each time.
    """

    root: Path
    files: tuple[str, ...]
    digests: tuple[str, ...]
    labels: Tensor
    names: tuple[str, ...]
    skipped: tuple[tuple[Path, str], ...]
    size: int
    channels: int
    pixels: Tensor | None

    def __len__(self) -> int:
        return len(self.files)

    def read(self, indices: Sequence[int]) -> Tensor:
        """Return the images at `indices`, `(k, channels, size, size)` uint8.

        Raises:
            DataError: Where a file can no longer be read, or is another one.
        """
        if self.pixels is not None:
            return self.pixels[torch.as_tensor(indices, dtype=torch.int64)]
        paths = [self.root / self.files[index] for index in indices]
        images = torch.empty(len(paths), self.channels, self.size, self.size, dtype=torch.uint8)
        decoded = _decode_all(paths, self.size, self.channels)
        for image, index, path, result in zip(images, indices, paths, decoded, strict=True):
            if isinstance(result, DataError):
                raise DataError(f"{shown(str(path))} can no longer be read: {result}")
            pixels, digest = result
            if digest != self.digests[index]:
                raise DataError(f"{shown(str(path))} has changed since its folder was opened")
            image.copy_(pixels)
        return images


def open_folder(
    root: Path,
    *,
    size: int,
    channels: int,
    max_bad_fraction: float = 0.01,
    memory_budget: int = MEMORY_BUDGET,
) -> FolderImages:
    """Open a folder with one sub-folder of images for each identity.

    Every file is decoded once, so that a damaged one is found now and not in the middle of a run.
    Sub-folders without a readable image are no identities. Images that lie beside or deeper than
    these sub-folders, and hidden ones, are left out with a warning.

    Args:
        root: The folder.
        size: Height and width to resize to, in pixels.
        channels: 1 for grey, 3 for RGB.
        max_bad_fraction: The share of files, in [0, 1], that may be unreadable. They are skipped
            with a warning.
        memory_budget: Bytes of pixels up to which the images are kept in memory.

    Raises:
        ConfigError: Where `max_bad_fraction` is not in [0, 1].
        DataError: Where the folder does not hold images of identities, one of them at least twice,
            or where too many files are unreadable.
    """
    if not 0 <= max_bad_fraction <= 1:
        raise ConfigError(f"max_bad_fraction must be in [0, 1], got {max_bad_fraction}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # decode refuses sooner
        listing = list_files(root)
        files = listing.used
        in_memory = len(files) * channels * size * size <= memory_budget
        pixels = torch.empty(
            len(files) if in_memory else 0, channels, size, size, dtype=torch.uint8
        )
        readable: list[Path] = []
        digests: list[str] = []
        skipped: list[tuple[Path, str]] = []
        results = track(_decode_all(files, size, channels), "reading images", len(files))
        for path, result in zip(files, results, strict=True):
            if isinstance(result, DataError):
                skipped.append((path, str(result)))
                continue
            image, digest = result
            if in_memory:
                pixels[len(readable)] = image
            readable.append(path)
            digests.append(digest)
    _report(listing, skipped, max_bad_fraction)
    names = sorted({path.parent.name for path in readable})
    number = {name: label for label, name in enumerate(names)}
    labels = torch.tensor([number[path.parent.name] for path in readable], dtype=torch.int64)
    if len(readable) == len(names):
        raise misfit(root, f"{len(readable)} readable images, no two of the same identity")
    return FolderImages(
        root,
        tuple(path.relative_to(root).as_posix() for path in readable),
        tuple(digests),
        labels,
        tuple(names),
        tuple(skipped),
        size,
        channels,
        pixels[: len(readable)] if in_memory else None,
    )


def _decode_all(paths: Sequence[Path], size: int, channels: int) -> Iterator[Decoded | DataError]:
    """Decode files in threads; where one cannot be read, yield the error in its place."""

    def attempt(path: Path) -> Decoded | DataError:
        try:
            return decode(path, size=size, channels=channels), sha256(path)
        except DataError as error:
            return error
        except OSError as error:
            return DataError(str(error.strerror))

    with ThreadPoolExecutor() as pool:
        yield from pool.map(attempt, paths)


def _report(listing: Listing, skipped: Sequence[tuple[Path, str]], allowed: float) -> None:
    """Warn of left-out and skipped files, or refuse the folder where too many are unreadable."""
    root = shown(str(listing.root))
    if listing.left_out:
        warnings.warn(
            f"images in {root} are left out, for an image lies in the sub-folder of its identity: "
            f"{listing.summary()}",
            stacklevel=3,
        )
    if not skipped:
        return
    reasons = [f"{listing.name(path)} ({reason})" for path, reason in skipped]
    total = len(listing.used)
    message = f"{len(skipped)} of {total} files in {root} cannot be read: {first_few(reasons)}"
    if len(skipped) > allowed * total:
        raise DataError(
            f"{message}; remove or mend them, or allow more than {allowed:.2%} (max_bad_fraction)"
        )
    warnings.warn(f"{message}; they are skipped", stacklevel=3)
