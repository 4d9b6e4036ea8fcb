"""Arrays that are made once and kept in the user's cache folder."""

import hashlib
import io
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gonio.base.durable import replacing
from gonio.base.text import shown

Arrays = dict[str, NDArray[Any]]


def cache_folder() -> Path:
    """Return `$XDG_CACHE_HOME/gonio`, or `~/.cache/gonio` where that is not set."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "gonio"


def cached(name: str, make: Callable[[], Arrays]) -> Arrays:
    """Read `name`.cache from the cache folder, or make the arrays and write it.

    The file begins with the SHA-256 of the rest: a damaged one is made again, with a warning. A
    folder that cannot be written costs a warning, not the data.

    Args:
        name: Of the file, different for whatever `make` does differently.
        make: Makes the arrays.
    """
    path = cache_folder() / f"{name}.cache"
    try:
        content = path.read_bytes()
    except OSError:
        return _made(path, make)
    digest, archive = content[:DIGEST], content[DIGEST:]
    if hashlib.sha256(archive).digest() != digest:
        warnings.warn(f"the cache {shown(str(path))} is damaged and made anew", stacklevel=2)
        return _made(path, make)
    with np.load(io.BytesIO(archive), allow_pickle=False) as arrays:
        return dict(arrays)


DIGEST = hashlib.sha256().digest_size
"""Bytes of it, at the start of a file."""


def _made(path: Path, make: Callable[[], Arrays]) -> Arrays:
    """Make the arrays and keep them."""
    arrays, archive = make(), io.BytesIO()
    np.savez(archive, allow_pickle=False, **arrays)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            part.write_bytes(hashlib.sha256(archive.getvalue()).digest() + archive.getvalue())
    except OSError as error:
        warnings.warn(f"not kept for next time: {error}", stacklevel=3)
    return arrays
