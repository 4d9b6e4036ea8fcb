"""Memory that is used again at the next step: finding fresh pages costs a CPU as much as a product."""

import math
import weakref

import numpy as np
import torch
from torch import Tensor

from gonio.engines.memory import needing

ALIGNMENT = 64
"""Bytes, of a cache line."""


class Buffer:
    """Lends the same memory again as soon as nobody holds the tensor that it was lent as.

    On devices other than the CPU, whose allocators do this themselves, every loan is a new tensor. A copy
    or a pickle is empty.

    Args:
        name: what the memory is for.
        mend: what to do if there is too little.
    """

    def __init__(self, name: str, mend: str) -> None:
        self._named = name, mend
        self._memory = np.empty(0, np.uint8)
        self._loan: weakref.ref[np.ndarray] | None = None

    def lend(self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
        """A tensor with anything in it.

        Raises:
            MemoryError: on the CPU, and torch.OutOfMemoryError elsewhere: there is too little.
        """
        size = math.prod(shape) * dtype.itemsize
        name, mend = self._named
        with needing(f"{name} ({' x '.join(map(str, shape))})", size, mend):
            return self._lent(size, shape, dtype, device)

    def clear(self) -> None:
        """Give the memory back, as soon as nobody holds it."""
        self._memory, self._loan = np.empty(0, np.uint8), None

    def _lent(
        self, size: int, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device
    ) -> Tensor:
        if device.type != "cpu" or size == 0:
            return torch.empty(shape, dtype=dtype, device=device)
        is_held = self._loan is not None and self._loan() is not None
        if is_held or len(self._memory) < size:
            self._memory = _aligned(size)
        loan = self._memory[:size]  # lives as long as any tensor on it
        self._loan = weakref.ref(loan)
        return torch.from_numpy(loan).view(dtype).view(shape)

    def __reduce__(self) -> tuple[type["Buffer"], tuple[str, str]]:
        return Buffer, self._named


def _aligned(size: int) -> np.ndarray:
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size]
