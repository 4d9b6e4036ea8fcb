"""The same numbers each time, on any fixed number of threads of a CPU."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """Within the context, whatever several threads of a CPU add up, they add in one order.

    That holds for the loss and for a backbone from elsewhere; what torch can do in no fixed order is
    warned of. Other devices are left as they are.
    """
    if device.type != "cpu" or torch.are_deterministic_algorithms_enabled():
        yield
        return
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)
