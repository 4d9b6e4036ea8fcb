"""Engines: how the pool over the columns of a process is computed. Each file is one.

`Reference` stores the whole (batch, columns) matrix and is the truth; `Chunked` sees a tile of columns at
a time, `Fused` likewise in Triton; `Auto` chooses between the first two. `Sampled` says which classes take
part. An engine knows rules and pools, never a named loss and never a margin. It holds settings alone: what
it needs from one batch to the next is a `Workspace` of whoever asks.
"""

import warnings
from collections.abc import Callable

from gonio.base.errors import ConfigError, unknown_name
from gonio.engines.auto import Auto
from gonio.engines.chunked import Chunked
from gonio.engines.reference import Reference
from gonio.engines.sampled import Sampled
from gonio.engines.seam import Engine
from gonio.engines.triton.fused import Fused
from gonio.loss import Loss
from gonio.rules import AsIs, LogSumExp, NoOffset

__all__ = [
    "Auto",
    "Backend",
    "Chunked",
    "Fused",
    "Reference",
    "Sampled",
    "check_backend",
    "engine_of",
    "maker",
    "named",
]

Backend = Engine | Sampled
"""What a head computes with."""

NAMED: dict[str, Callable[[], Backend]] = {
    "auto": Auto,
    "reference": Reference,
    "chunked": Chunked,
}
"""What needs no settings."""


MAKERS: dict[str, Callable[..., Backend]] = {**NAMED, "fused": Fused, "sampled": Sampled}


def maker(name: str) -> Callable[..., Backend]:
    """What makes a backend of this name; its arguments are the backend's settings.

    Raises:
        ConfigError: an unknown name.
    """
    if name not in MAKERS:
        raise unknown_name("backend", name, MAKERS)
    return MAKERS[name]


def named(backend: str | Backend) -> Backend:
    """What `backend=` of a head stands for: the one of that name, or itself.

    Raises:
        ConfigError: an unknown name.
        TypeError: what is neither a name nor a backend.
    """
    if isinstance(backend, str):
        if backend not in NAMED:
            raise ConfigError(f"backend: {backend!r} is unknown; choose one of {', '.join(NAMED)}")
        return NAMED[backend]()
    if not isinstance(backend, Backend):
        raise TypeError(f"backend: {backend!r} is no backend; pass a name, or Chunked(tile=512)")
    return backend


def engine_of(backend: Backend) -> Engine:
    """What computes, of all classes or of some."""
    return backend.backend if isinstance(backend, Sampled) else backend


def check_backend(backend: Backend, loss: Loss, label_smoothing: float) -> None:
    """Refuse what a backend cannot do for a loss, and say which of its settings does nothing.

    Raises:
        ValueError: drawn classes for a loss without class weights, or with label smoothing; a
            correction for a pool that is not a sum of exponentials.
    """
    if isinstance(backend, Sampled):
        if loss.pairing.against != "classes":
            raise ValueError(
                f"backend: Sampled draws class weights, and the loss compares {loss.pairing}; take 'auto'"
            )
        if label_smoothing:
            raise ValueError(
                f"label_smoothing: got {label_smoothing}, which is spread over all classes, and Sampled "
                "sees some; set it to 0, or take backend='chunked'"
            )
        is_sum = isinstance(loss.pool, LogSumExp) and loss.pool.temperature != 0
        if backend.corrected and not is_sum:
            raise ValueError(
                f"backend: Sampled(corrected=True) estimates a sum of exponentials, and the loss has the pool "
                f"{loss.pool}; leave corrected out, or take backend='chunked'"
            )
    engine = engine_of(backend)
    if not isinstance(engine, Chunked) or engine.negligible == 0:
        return
    if not _leaves_out_some(loss, label_smoothing):
        warnings.warn(
            f"backend: negligible={engine.negligible} leaves nothing out with this loss; it is for plain "
            "cosines, without a negative rule, a bias or label smoothing",
            stacklevel=4,
        )


def _leaves_out_some(loss: Loss, label_smoothing: float) -> bool:
    """Whether `Chunked(negligible=...)` can leave anything out; see `gonio.engines.compaction`."""
    score = loss.score
    is_cosine = score.unit_embedding and score.unit_weight and score.temperature == 0
    is_alone = isinstance(loss.offset, NoOffset) and label_smoothing == 0
    is_plain = isinstance(loss.negative, AsIs) and isinstance(loss.pool, LogSumExp)
    return is_cosine and is_alone and is_plain
