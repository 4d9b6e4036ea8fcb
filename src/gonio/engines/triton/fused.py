"""Tiles of classes in Triton: what `Chunked` does between and around the products, in a few kernels.

Tested with Triton's interpreter on the CPU. It has not run on a GPU yet, so no backend chooses it by
itself.
"""

import warnings
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor

from gonio.engines.chunked import Chunked, Kept, inverse_of
from gonio.engines.compaction import Compacted
from gonio.engines.epilogue import Pushed
from gonio.engines.products import Products
from gonio.engines.streamed import Request
from gonio.engines.triton.forms import form_of
from gonio.engines.triton.launch import FusedProducts, is_interpreted
from gonio.engines.triton.printed import NotPrintedError, printed
from gonio.rules.pool import State


@dataclass(frozen=True)
class Fused(Chunked):
    """The engine. Settings are those of `Chunked`; `compiled` is for what runs as `Chunked` does.

    It serves float32 embeddings, one centre for a class, and negative rules that can be printed
    (`gonio.engines.triton.printed`). Everything else runs as `Chunked`, and a warning says so once.

    Raises:
        ValueError: a setting outside its range.
        ModuleNotFoundError: there is no triton.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if find_spec("triton") is None:
            raise ModuleNotFoundError(
                "backend: Fused needs triton; pip install triton, or take backend='chunked'"
            )

    def fold(self, request: Request, *, is_recorded: bool) -> tuple[State, Kept]:
        """See `Streaming`. No score is stored, so that all classes are one tile."""
        if _refusal(request) is not None:
            return super().fold(request, is_recorded=is_recorded)
        products = FusedProducts(request, inverse_of(request), self.precision)
        stash = self._room(request, products) if is_recorded else None
        return products.seen(stash), Kept(products.inverse, [] if stash is None else [stash])

    def _pushed(
        self, some: Compacted, products: Products, part: slice, rows: slice, kept: Tensor | None
    ) -> Pushed:
        if isinstance(products, FusedProducts):
            return products.pushed(some, part, kept)
        return super()._pushed(some, products, part, rows, kept)

    def _products(self, request: Request, inverse: Tensor | None) -> Products:
        reason = _refusal(request)
        if reason is None:
            return FusedProducts(request, inverse, self.precision)
        _warn_once(reason)
        return super()._products(request, inverse)


def _refusal(request: Request) -> str | None:
    """Why the kernels do not serve a request."""
    if request.query.x.device.type == "cpu" and not is_interpreted():
        return "embeddings on the CPU"
    if request.query.x.dtype != torch.float32:
        return f"embeddings in {request.query.x.dtype} are computed with in more digits than kernels have"
    if request.query.score.centers > 1:
        return "classes with several centres"
    if form_of(request.query.pool) is None:
        return f"the pool {request.query.pool}"
    if request.is_own is not None:
        return "rows with many labels"
    if len(request.held.weight) == 0:
        return "no columns at all"
    try:
        printed(request.query.negative)
    except NotPrintedError as error:
        return str(error)
    return None


@cache
def _warn_once(reason: str) -> None:
    warnings.warn(f"backend: Fused runs as Chunked does for {reason}", stacklevel=2)
