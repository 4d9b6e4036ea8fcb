"""Which files of a folder show an identity, and which images there are left out by its layout."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gonio.base.errors import DataError
from gonio.base.text import first_few, shown
from gonio.data.decode import is_image

IGNORED = ("desktop.ini", "thumbs.db")
"""What file managers leave behind."""

LAYOUT = (
    "expected one sub-folder of images for each identity, such as "
    "{root}/alice/1.jpg, {root}/alice/2.jpg, {root}/bob/1.jpg"
)


@dataclass(frozen=True)
class Listing:
    """The files below a folder.

    Attributes:
        root: The folder.
        used: Those in the sub-folder of an identity, unless one of the two is hidden.
        left_out: Images that lie elsewhere, by where they lie.
    """

    root: Path
    used: list[Path]
    left_out: dict[str, list[Path]]

    def summary(self) -> str:
        """How many images of which kind are left out, the first few of each kind by name."""
        return "; ".join(
            f"{len(paths)} {where} ({first_few([self.name(path) for path in paths])})"
            for where, paths in self.left_out.items()
        )

    def name(self, path: Path) -> str:
        """The path of a file in the folder, to be shown."""
        return shown(path.relative_to(self.root).as_posix())


def list_files(root: Path) -> Listing:
    """List a folder in an order that is the same on every machine.

    The sub-folder of an identity may be a link; no other link to a folder is followed.

    Raises:
        DataError: Where it is no folder or cannot be listed, or no file lies in a sub-folder.
    """
    if not root.is_dir():
        raise DataError(f"{shown(str(root))} is not a folder; {_layout(root)}")
    listing = Listing(root, [], {})
    for path in _below(root, depth=0):
        is_link = path.is_dir()
        where = "behind a link" if is_link else _elsewhere(path.relative_to(root).parts)
        if where is None:
            listing.used.append(path)
        elif is_link or is_image(path):
            listing.left_out.setdefault(where, []).append(path)
    if not listing.used:
        others = f", but images {listing.summary()}" if listing.left_out else ""
        raise misfit(root, f"no file in a sub-folder{others}")
    return listing


def misfit(root: Path, found: str) -> DataError:
    """The error for a folder of another layout."""
    return DataError(f"{shown(str(root))} holds {found}; {_layout(root)}")


def _layout(root: Path) -> str:
    return LAYOUT.format(root=shown(str(root)))


def _below(folder: Path, depth: int) -> Iterator[Path]:
    """Every file below a folder, by name, and every link to a folder that is not followed."""
    try:
        entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{shown(str(folder))} cannot be listed: {error.strerror}") from error
    for entry in entries:
        if entry.is_dir() and (depth == 0 or not entry.is_symlink()):
            yield from _below(entry, depth + 1)
        elif entry.name.lower() not in IGNORED:
            yield entry


def _elsewhere(parts: tuple[str, ...]) -> str | None:
    """Where a file lies, if not in the sub-folder of an identity."""
    if any(part.startswith(".") for part in parts):
        return "hidden"
    return {1: "beside the sub-folders", 2: None}.get(len(parts), "nested deeper")
