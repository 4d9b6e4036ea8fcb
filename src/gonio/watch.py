"""Notices a head whose weight is in no optimizer: the loss falls, and the classes never move."""

import warnings

import torch
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_post_hook

PATIENCE = 3
"""Optimizer steps after a training batch in which the weight may stay where it is."""

_steps = 0


def _count(*_: object) -> None:
    global _steps
    _steps += 1


class WeightWatch:
    """Warns once if optimizers step and the weight does not."""

    _is_counting = False

    def __init__(self, name: str) -> None:
        self.name = name
        self._seen: tuple[int, int, Tensor, Tensor] | None = None
        self._is_done = False
        if not WeightWatch._is_counting:
            register_optimizer_step_post_hook(_count)
            WeightWatch._is_counting = True

    def look(self, weight: Tensor, labels: Tensor) -> None:
        """Call with each training batch; the rows of its labels are those that should move."""
        if self._is_done or not weight.requires_grad or len(labels) == 0:
            return
        if self._seen is None:
            rows = labels[:8].clone()
            self._seen = _steps, weight._version, rows, weight.detach()[rows].clone()
            return
        steps, version, rows, before = self._seen
        if weight._version != version:
            self._is_done = True
        elif _steps - steps >= PATIENCE:
            self._is_done = True
            if torch.equal(weight.detach()[rows], before):
                warnings.warn(
                    f"{self.name}: weight did not move in {_steps - steps} optimizer steps; is "
                    "head.parameters() in the optimizer? Its classes stay where they began",
                    stacklevel=4,
                )
