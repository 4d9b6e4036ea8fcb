"""Backends: how the pool over the negatives is computed. Each file offers the same one function.

`reference` stores the whole (batch, classes) matrix and is the truth; `Chunked` sees a tile of classes
at a time, `Fused` likewise in Triton, `Sampled` a part of the classes that is drawn at each step. A
backend knows rules and pools, never a named loss and never a margin.
"""

import warnings

import torch
from torch import Tensor

from gonio.base.errors import ConfigError
from gonio.engines.chunked import Chunked
from gonio.engines.compaction import leaves_out_some
from gonio.engines.reference import reference
from gonio.engines.sampled import Sampled
from gonio.engines.seam import Classes, Negatives
from gonio.engines.triton.fused import Fused
from gonio.loss import Loss
from gonio.rules.facts import Sample
from gonio.rules.pool import LogSumExp

__all__ = ["Auto", "Chunked", "Fused", "Sampled", "check_backend", "named", "reference"]

WHOLE_MATRIX_LIMIT = 2**22
"""Elements up to which "auto" stores the scores and the directions of the weight whole: 16 MiB in float32."""


class Auto(Chunked):
    """`reference` while the matrix is small, else `Chunked`. With an update always that."""

    def __call__(
        self, x: Tensor, classes: Classes, sample: Sample, labels: Tensor, loss: Loss
    ) -> Tensor:
        """See `gonio.engines.seam.Negatives`."""
        rows = classes.weight.flatten(0, -2).shape[0]
        if self.update is not None or max(x.shape) * rows > WHOLE_MATRIX_LIMIT:
            found: Tensor = super().__call__(x, classes, sample, labels, loss)
            return found
        if torch.is_grad_enabled() and not torch.compiler.is_compiling():
            self.last_step.begin(len(x))
        return reference(x, classes, sample, labels, loss)


NAMED = {"auto": Auto, "reference": lambda: reference, "chunked": Chunked}


def named(backend: str | Negatives) -> Negatives:
    """What `backend=` of a head stands for: a new backend of that name, or the backend itself.

    Raises:
        ConfigError: an unknown name.
        TypeError: what is neither a name nor a backend.
    """
    if isinstance(backend, str):
        if backend not in NAMED:
            raise ConfigError(f"backend: {backend!r} is unknown; choose one of {', '.join(NAMED)}")
        made: Negatives = NAMED[backend]()
        return made
    if isinstance(backend, type) or not callable(backend):
        raise TypeError(f"backend: {backend!r} is no backend; pass a name, or Chunked(tile=512)")
    return backend


def check_backend(backend: Negatives, loss: Loss, label_smoothing: float) -> None:
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
    inner = backend.backend if isinstance(backend, Sampled) else backend
    if not isinstance(inner, Chunked) or inner.negligible == 0:
        return
    if not leaves_out_some(loss, label_smoothing):
        warnings.warn(
            f"backend: negligible={inner.negligible} leaves nothing out with this loss; it is for plain "
            "cosines, without a negative rule, a bias or label smoothing",
            stacklevel=4,
        )
