"""One sample, and its own class against others: what a loss says of it, by the rules that train."""

from collections.abc import Callable

import torch
from torch import Tensor

from gonio.loss import Loss, target_curve
from gonio.rules.facts import Sample


def cost_and_pull(
    loss: Loss, target: Tensor, others: Tensor, angle: Tensor
) -> tuple[Tensor, Tensor]:
    """The loss at scale 1 and how strongly it pulls the target up.

    Args:
        loss: its negative rule, pool and penalty are used.
        target: (n,), the own class's score after the margin.
        others: (n, k), scores of the other classes before any rule.
        angle: (n,), to the own class, in radians.

    Returns:
        (n,) losses in nats, and (n,) pulls -d loss / d target, >= 0.
    """
    target = target.detach().requires_grad_()
    one = torch.ones_like(angle)
    sample = Sample(one, one, angle.cos(), angle, target)
    pool = loss.pool.value(loss.pool.fold(loss.negative(others, sample.column())))
    cost = loss.penalty(pool, target)
    (slope,) = torch.autograd.grad(cost.sum(), target)
    return cost.detach(), -slope


def wins(loss: Loss, own: Tensor, other: Tensor) -> Tensor:
    """(n,) and (n,) angles in radians -> (n,) bool: does the own class win against one other?

    It wins where the loss pulls its target with less than half of its full force. For cross-entropy
    that is a probability above 1/2, for a hinge a cost of 0; without a margin it is own < other.
    """
    _, pull = cost_and_pull(loss, target_curve(loss, own), other.cos()[:, None], own)
    return pull < 0.5


def boundary(holds: Callable[[Tensor], Tensor], true: Tensor, false: Tensor) -> Tensor:
    """Where a condition ends, element by element, by bisection to the last bit.

    Args:
        holds: (n,) values -> (n,) bool, true on one side of the boundary.
        true: (n,) values, on the side where it holds.
        false: (n,) values, on the other side.

    Returns:
        (n,) values; NaN where it does not even hold at `true`, `false` where it holds throughout.
    """
    is_none, is_all = ~holds(true), holds(false)
    inside, outside = true, false
    for _ in range(60):
        middle = (inside + outside) / 2
        is_inside = holds(middle)
        inside, outside = middle.where(is_inside, inside), outside.where(is_inside, middle)
    return inside.where(~is_all, false).masked_fill(is_none, torch.nan)
