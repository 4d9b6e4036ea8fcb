"""Memory that a backend keeps between steps, so that the system need not find fresh pages each time."""

import torch
from torch import Tensor


class Buffers:
    """Lends one buffer at a time on the CPU; other devices have allocators that keep memory themselves.

    A copy or a pickle of it is empty.
    """

    def __init__(self) -> None:
        self._free: Tensor | None = None

    def lend(self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
        """A tensor with anything in it: the one that was returned if it is large enough, else a new one."""
        free, self._free = self._free, None
        size = torch.Size(shape).numel()
        if free is None or free.dtype != dtype or free.numel() < size:
            return torch.empty(shape, dtype=dtype, device=device)
        return free[:size].view(shape)

    def give_back(self, tensor: Tensor) -> None:
        """End of a loan."""
        if tensor.device.type == "cpu":
            self._free = tensor.flatten()

    def __reduce__(self) -> tuple[type["Buffers"], tuple[()]]:
        return Buffers, ()
