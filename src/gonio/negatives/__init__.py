"""Backends: how the pool over the negatives is computed. Each file offers the same one function.

`reference` stores the whole (batch, classes) matrix and is the truth; `chunked` sees a tile of classes
at a time. A backend knows rules and pools, never a named loss and never a margin.
"""

from gonio.equation import Negatives
from gonio.errors import ConfigError
from gonio.negatives.chunked import Chunked
from gonio.negatives.reference import reference

__all__ = ["Chunked", "choose", "names", "reference"]

BACKENDS: dict[str, Negatives] = {"reference": reference, "chunked": Chunked()}

WHOLE_MATRIX_LIMIT = 2**22
"""Elements of (batch, classes) up to which "auto" stores the whole matrix: 16 MiB in float32."""


def names() -> list[str]:
    """What `backend=` accepts by name."""
    return ["auto", *BACKENDS]


def choose(backend: str | Negatives, batch: int, num_classes: int) -> Negatives:
    """The backend for a batch. "auto" is `reference` while the matrix is small, else `chunked`.

    Raises:
        ConfigError: an unknown name.
        TypeError: what is neither a name nor a backend.
    """
    if not isinstance(backend, str):
        if isinstance(backend, type) or not callable(backend):
            raise TypeError(
                f"backend: {backend!r} is no backend; pass a name, or Chunked(tile=512)"
            )
        return backend
    if backend == "auto":
        return BACKENDS["reference" if batch * num_classes <= WHOLE_MATRIX_LIMIT else "chunked"]
    if backend not in BACKENDS:
        raise ConfigError(f"backend: {backend!r} is unknown; choose one of {', '.join(names())}")
    return BACKENDS[backend]
