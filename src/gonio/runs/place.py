"""Where a run goes, and where one lies that is to go on."""

import re
from pathlib import Path

from gonio.base.errors import CheckpointError, ConfigError
from gonio.runs.folder import RunFolder

RUNS = Path("runs")
"""Where runs go that are not told where."""


def new_folder(out: str | None, stem: str) -> RunFolder:
    """Make the folder `out`, by default the next free `runs/<stem>-<number>`.

    Raises:
        ConfigError: `out` is no folder and cannot be made.
    """
    if out is None:
        return _next_numbered(stem)
    path = Path(out)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"out: {path}: {error.strerror}") from error
    return RunFolder(path)


def existing_folder(out: str | None, stem: str) -> RunFolder:
    """The folder `out`, by default the latest `runs/<stem>-<number>` that holds a run.

    Raises:
        CheckpointError: there is none.
    """
    if out is not None:
        folder = RunFolder(Path(out))
        if not folder.is_run():
            raise CheckpointError(f"{folder.path} holds no run; leave out --resume to begin one")
        return folder
    runs = [(number, path) for number, path in _numbered(stem) if RunFolder(path).is_run()]
    if not runs:
        raise CheckpointError(
            f"{RUNS} holds no run {stem}-<number>; name one by --out, or leave out --resume"
        )
    return RunFolder(max(runs)[1])


def _next_numbered(stem: str) -> RunFolder:
    """Two that ask at the same time get two folders."""
    path = RUNS / f"{stem}-{max(_numbered(stem), default=(0, RUNS))[0] + 1}"
    try:
        path.mkdir(parents=True)
    except FileExistsError:
        return _next_numbered(stem)
    return RunFolder(path)


def _numbered(stem: str) -> list[tuple[int, Path]]:
    """The folders of this stem, with their numbers."""
    pattern = re.compile(re.escape(stem) + r"-(\d+)")
    matches = [(pattern.fullmatch(path.name), path) for path in RUNS.glob("*")]
    return [(int(match[1]), path) for match, path in matches if match]
