"""Files that are there whole or not at all, also after a crash."""

import glob
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Within the context, errors of the disk name `path`: the file that the user knows."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; on leaving, it is synced and takes the place of `path`.

    What a process left half written that was to take the same place, and is no more, is removed.

    Raises:
        OSError: names `path`.
    """
    with naming(path):
        for abandoned in _abandoned(path):
            abandoned.unlink(missing_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            yield part
            sync(part)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
        sync(path.parent)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file; see `replacing`."""
    with replacing(path) as part:
        part.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write a text file; see `replacing`."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON; see `replacing`. Names that are no text are escaped."""
    text = json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    write_bytes(path, text.encode(errors="backslashreplace"))


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write named tensors of the CPU as safetensors, each for itself also where they share memory."""
    shared: set[int] = set()
    alone = {}
    for name, tensor in tensors.items():
        memory = tensor.untyped_storage().data_ptr()
        alone[name] = tensor.clone() if memory in shared else tensor
        shared.add(memory)
    write_bytes(path, save(alone))


def sync(path: Path) -> None:
    """Wait until a file, or the list of files in a folder, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path) -> str:
    """The digest of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _abandoned(path: Path) -> Iterator[Path]:
    """Parts of `path` whose writers have ended."""
    for part in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        writer = part.name.split(".")[-2]
        if writer.isdecimal() and not _is_running(int(writer)):
            yield part


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # somebody else's
        return True
    return True
