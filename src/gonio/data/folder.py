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
from gonio.base.text import shown
from gonio.data.decode import decode
from gonio.data.progress import track

MEMORY_BUDGET = 2 * 1024**3
"""Bytes of pixels up to which the images of a folder are kept in memory."""

IGNORED = ("desktop.ini", "thumbs.db")
"""What file managers leave behind; hidden files are ignored too."""

LAYOUT = (
    "expected one sub-folder of images for each identity, such as "
    "{root}/alice/1.jpg, {root}/alice/2.jpg, {root}/bob/1.jpg"
)


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
                raise DataError(
                    f"{shown(str(path))} was readable when its folder was opened: {result}"
                )
            pixels, digest = result
            if digest != self.digests[index]:
                raise DataError(
                    f"{shown(str(path))} has changed since its folder was opened; start anew"
                )
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
    Sub-folders without a readable image are no identities; folders inside them are not entered.

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
    files = _list_files(root)
    in_memory = len(files) * channels * size * size <= memory_budget
    pixels = torch.empty(len(files) if in_memory else 0, channels, size, size, dtype=torch.uint8)
    readable: list[Path] = []
    digests: list[str] = []
    skipped: list[tuple[Path, str]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # decode refuses sooner
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
    _report(root, skipped, len(files), max_bad_fraction)
    names = sorted({path.parent.name for path in readable})
    number = {name: label for label, name in enumerate(names)}
    labels = torch.tensor([number[path.parent.name] for path in readable], dtype=torch.int64)
    if len(readable) == len(names):
        raise _misfit(root, f"{len(readable)} readable images, no two of the same identity")
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


def _list_files(root: Path) -> list[Path]:
    """List the files of every sub-folder in an order that is the same on every machine."""
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; {LAYOUT.format(root=root)}")
    entries = _entries(root)
    folders = [entry for entry in entries if entry.is_dir()]
    if not folders:
        raise _misfit(root, f"{len(entries)} files and no sub-folder")
    inside = [entry for folder in folders for entry in _entries(folder)]
    files = [entry for entry in inside if not entry.is_dir()]
    if not files:
        raise _misfit(root, f"{len(folders)} sub-folders with {len(inside)} folders and no file")
    return files


def _entries(folder: Path) -> list[Path]:
    """List a folder by name, without hidden files and what file managers leave."""
    try:
        entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder} cannot be listed: {error}") from error
    return [
        entry
        for entry in entries
        if not entry.name.startswith(".") and entry.name.lower() not in IGNORED
    ]


def _decode_all(paths: Sequence[Path], size: int, channels: int) -> Iterator[Decoded | DataError]:
    """Decode files in threads; where one cannot be read, yield the error in its place."""

    def attempt(path: Path) -> Decoded | DataError:
        try:
            return decode(path, size=size, channels=channels), sha256(path)
        except DataError as error:
            return error

    with ThreadPoolExecutor() as pool:
        yield from pool.map(attempt, paths)


def _report(root: Path, skipped: Sequence[tuple[Path, str]], total: int, allowed: float) -> None:
    """Warn of skipped files, or refuse the folder where they are too many."""
    if not skipped:
        return
    first = "; ".join(f"{path.relative_to(root)} ({reason})" for path, reason in skipped[:5])
    more = f"; and {len(skipped) - 5} more" if len(skipped) > 5 else ""
    message = f"{len(skipped)} of {total} files in {root} cannot be read: {first}{more}"
    if len(skipped) > allowed * total:
        raise DataError(
            f"{message}; remove or mend them, or allow more than {allowed:.2%} (max_bad_fraction)"
        )
    warnings.warn(f"{message}; they are skipped", stacklevel=3)


def _misfit(root: Path, found: str) -> DataError:
    return DataError(f"{root} holds {found}; {LAYOUT.format(root=root)}")
