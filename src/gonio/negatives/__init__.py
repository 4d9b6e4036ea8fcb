"""Backends: how the pool over the negatives is computed. Each file offers the same one function.

`reference` stores the whole (batch, classes) matrix and is the truth; `Chunked` sees a tile of classes
at a time, `Fused` likewise in Triton, `Sampled` a part of the classes that is drawn at each step. A
backend knows rules and pools, never a named loss and never a margin.
"""

import torch
from torch import Tensor

from gonio.equation import Classes, Loss, Negatives, Sample
from gonio.errors import ConfigError
from gonio.negatives.chunked import Chunked
from gonio.negatives.fused import Fused
from gonio.negatives.reference import reference
from gonio.negatives.sampled import Sampled

__all__ = ["Auto", "Chunked", "Fused", "Sampled", "check_draws", "named", "reference"]

WHOLE_MATRIX_LIMIT = 2**22
"""Elements of (batch, classes) up to which "auto" stores the whole matrix: 16 MiB in float32."""


class Auto(Chunked):
    """`reference` while the matrix is small, else `Chunked`. With an update always that."""

    def __call__(
        self, x: Tensor, classes: Classes, sample: Sample, labels: Tensor, loss: Loss
    ) -> Tensor:
        """See `gonio.equation.Negatives`."""
        if self.update is not None or len(x) * len(classes.weight) > WHOLE_MATRIX_LIMIT:
            found: Tensor = super().__call__(x, classes, sample, labels, loss)
            return found
        if torch.is_grad_enabled() and not torch.compiler.is_compiling():
            self.last_step.begin(len(x), classes.weight.flatten(0, -2).shape[0])
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


def check_draws(backend: Negatives, loss: Loss, label_smoothing: float) -> None:
    """Refuse what drawn classes cannot be asked for.

    Raises:
        ValueError: a loss without class weights, or label smoothing.
    """
    if not isinstance(backend, Sampled):
        return
    if loss.pairing.against != "classes":
        raise ValueError(
            f"backend: Sampled draws class weights, and the loss compares {loss.pairing}; take 'auto'"
        )
    if label_smoothing:
        raise ValueError(
            f"label_smoothing: got {label_smoothing}, which is spread over all classes, and Sampled sees "
            "some; set it to 0, or take backend='chunked'"
        )
