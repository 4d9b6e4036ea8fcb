"""A module with a weight that an attached optimizer may leave behind."""

from typing import Any

import torch
from torch import nn

from gonio.optimizer_in_backward.mover import Mover


class Attachable(nn.Module):
    """A module whose weight backward may move. A deep copy of it is not attached."""

    _mover: Mover | None = None

    @property
    def is_attached(self) -> bool:
        """Whether backward moves the weight."""
        return self._mover is not None

    def detach_optimizer(self) -> None:
        """Leave the weight to `optimizer.step()` again.

        Warns:
            UserWarning: an interrupted backward pass left the weight with half a step.
        """
        if self._mover is not None:
            self._mover.release()
        self._mover = None

    def catch_up(self) -> None:
        """Bring all rows of the weight up to date, with their momentum.

        Under `Sampled` and an attached SGD, classes that were not drawn lag behind. They catch up by
        themselves when the weight, its momentum or a copy of either is first touched. Call this before
        another tensor on the same memory is read or written. Otherwise it does nothing.

        Raises:
            RuntimeError: a backward pass that moved the weight was interrupted, or the weight was
                written while classes lagged behind.
        """
        if self._mover is not None:
            self._mover.catch_up()

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        """See `forward`; torch.compile does not look into it while backward moves the weight."""
        call = super().__call__
        return call(*args, **keywords) if self._mover is None else _plainly(call, args, keywords)


@torch.compiler.disable  # type: ignore[untyped-decorator]
def _plainly(call: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    return call(*args, **keywords)
