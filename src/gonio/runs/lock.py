"""One process at a time in the folder of a run."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from gonio.base.errors import CheckpointError

LOCK = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Within the context, no other process trains in `folder`.

    The system gives the lock back when its process ends, however it ends, so that a file which is left
    behind holds nobody up; what it says is for people.

    Raises:
        CheckpointError: another process trains there.
    """
    path = folder / LOCK
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise CheckpointError(
            f"{folder}: {_owner(path)} is training there; wait for it, or choose another --out"
        ) from error
    try:
        path.write_text(f"process {os.getpid()} on {platform.node()}", encoding="utf-8")
        yield
    finally:
        lock.release()


def _owner(path: Path) -> str:
    """Who holds a lock, as far as it is told."""
    try:
        return path.read_text(encoding="utf-8") or "another process"
    except (OSError, ValueError):
        return "another process"
