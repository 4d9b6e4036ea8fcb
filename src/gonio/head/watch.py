"""Notices a head whose weight is in no optimizer: the loss falls, and the classes never move."""

import warnings

import torch
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_post_hook

PATIENCE = 20
"""Training batches, each followed by a step of some optimizer, that the weight may sit still."""

_steps = 0


def _count(*_: object) -> None:
    global _steps
    _steps += 1


class WeightWatch:
    """Warns once if optimizers step, batch after batch, and the weight does not move."""

    _is_counting = False

    def __init__(self, name: str) -> None:
        self.name = name
        self._rows: Tensor | None = None
        self._before: Tensor | None = None
        self._last_step = 0
        self._batches = 0
        if not WeightWatch._is_counting:
            register_optimizer_step_post_hook(_count)
            WeightWatch._is_counting = True

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def look(self, weight: Tensor, labels: Tensor) -> None:
        """Call with each training batch; the rows of its labels are those that should move."""
        if self._batches >= PATIENCE or not weight.requires_grad or len(labels) == 0:
            return
        if self._rows is None or self._before is None:
            self._rows = labels[:8].clone()
            self._before = weight.detach()[self._rows].clone()
        elif _steps > self._last_step:
            self._batches += 1
        self._last_step = _steps
        if self._batches == PATIENCE and torch.equal(weight.detach()[self._rows], self._before):
            warnings.warn(
                f"{self.name}: weight did not move in {PATIENCE} batches with optimizer steps; is "
                "head.parameters() in the optimizer? Its classes stay where they began",
                stacklevel=6,
            )
