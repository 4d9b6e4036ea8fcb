"""Compiles a function once, and lets it be where that fails."""

import functools
import shutil
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, TypeVar, cast

import torch

MOST_LOSSES = 64
"""For which a function may be compiled in one process, at most; further ones run uncompiled."""

F = TypeVar("F", bound=Callable[..., Any])


@functools.cache
def has_compiler(device: str) -> bool:
    """Whether torch.compile finds what it needs: a C++ compiler, or triton for a GPU."""
    if device == "cpu":
        return any(shutil.which(name) for name in ("g++", "clang++", "c++"))
    return find_spec("triton") is not None


@functools.cache
def compiled(function: F) -> F:
    """The function, compiled for all sizes at its first call; as it is, with one warning, if that fails."""
    fast = torch.compile(function, dynamic=True)
    is_broken = False

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        nonlocal is_broken
        if is_broken:
            return function(*args)
        try:
            with torch._dynamo.config.patch(recompile_limit=MOST_LOSSES):
                return fast(*args)
        except torch._dynamo.exc.TorchDynamoException as error:
            is_broken = True
            warnings.warn(
                f"torch.compile failed on gonio's {function.__name__}, which now runs uncompiled, with the "
                f"same results; Chunked(compiled=False) does so from the start. {error}",
                stacklevel=2,
            )
            return function(*args)

    return cast(F, call)
