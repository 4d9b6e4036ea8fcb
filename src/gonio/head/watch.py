"""Notices a head whose weight is in no optimizer: the loss falls, and the classes never move."""

import functools
import gc
import warnings
import weakref
from typing import Protocol

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook


class HasWeight(Protocol):
    """What is watched."""

    weight: nn.Parameter | None
    step: Tensor


_watched: "weakref.WeakKeyDictionary[HasWeight, int | None]" = weakref.WeakKeyDictionary()
"""Heads whose weight no optimizer has yet, and the training batches they had seen at a step of one."""


def watch(head: HasWeight) -> None:
    """Warn if a head trains from one step of an optimizer to the next, and none has its weight."""
    _hook()
    _watched[head] = None


@functools.cache
def _hook() -> None:
    register_optimizer_step_post_hook(_look)


def _look(optimizer: Optimizer, *_: object) -> None:
    for head, before in list(_watched.items()):
        weight = head.weight
        if weight is None or weight.grad is None:
            continue
        if _has(optimizer, weight):
            del _watched[head]
            continue
        seen = _watched[head] = int(head.step)
        if before is None or before == seen:
            continue
        del _watched[head]
        if not any(_has(one, weight) for one in _living_optimizers()):
            warnings.warn(
                f"{type(head).__name__} with a weight of {list(weight.shape)}: the weight has a "
                "gradient, but is in no optimizer, so its classes stay where they began; build the "
                "optimizer with head.parameters() too",
                stacklevel=3,
            )


def _has(optimizer: Optimizer, weight: nn.Parameter) -> bool:
    return any(one is weight for group in optimizer.param_groups for one in group["params"])


def _living_optimizers() -> list[Optimizer]:
    """Looked for only where one is missed."""
    return [one for one in gc.get_objects() if issubclass(type(one), Optimizer)]
