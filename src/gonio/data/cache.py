"""Arrays that are made once and kept in the user's cache folder."""

import os
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gonio.base.durable import replacing

Arrays = dict[str, NDArray[Any]]


def cache_folder() -> Path:
    """Return `$XDG_CACHE_HOME/gonio`, or `~/.cache/gonio` where that is not set."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "gonio"


def cached(name: str, make: Callable[[], Arrays]) -> Arrays:
    """Read `name`.npz from the cache folder, or make the arrays and write it.

    A damaged file is made again. A folder that cannot be written costs a warning, not the data.

    Args:
        name: Of the file, different for whatever `make` does differently.
        make: Makes the arrays.
    """
    path = cache_folder() / f"{name}.npz"
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return dict(archive)
    except (OSError, EOFError, ValueError, zipfile.BadZipFile):
        arrays = make()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part, part.open("wb") as written:
            np.savez(written, allow_pickle=False, **arrays)
    except OSError as error:
        warnings.warn(f"not kept for next time: {error}", stacklevel=2)
    return arrays
