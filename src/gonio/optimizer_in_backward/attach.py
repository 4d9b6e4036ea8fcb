"""What an optimizer can be attached to, and what it is that is attached."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from gonio.columns import ClassWeights
from gonio.engines import Backend, engine_of
from gonio.engines.seam import Engine, Held, Query
from gonio.engines.workspace import Workspace
from gonio.equation import margin_loss
from gonio.loss import Loss
from gonio.optimizer_in_backward.applied import MEND, Applied
from gonio.ranks import ALONE, Ranks
from gonio.rules.facts import Memory
from gonio.targets import Targets

SUPPORTED = (SGD, Adam, AdamW)

HELD = (
    "head.weight: it still has the gradient of an earlier backward pass, and attach_optimizer, which "
    "applies each at once, cannot accumulate; call optimizer.step() and zero_grad(set_to_none=True) "
    f"after each backward, {MEND}"
)
HOOKED = (
    "head.weight: it has a hook on its gradient, which attach_optimizer applies in backward and hands to "
    f"nobody; remove the hook, {MEND}"
)

NARROW = (
    "head.weight: got float16, whose range holds neither a gradient nor its squares without a GradScaler, which "
    "attach_optimizer has no place for; build the head with dtype=torch.bfloat16 or float32"
)


def attachable(
    optimizer: Optimizer,
    weight: nn.Parameter | None,
    backend: Backend,
    loss: Loss,
    memory: Memory,
) -> nn.Parameter:
    """The weight that an optimizer can move in backward.

    Raises:
        TypeError: an optimizer of another type, or a weight in float16.
        ValueError: a weight, backend, loss or setting of the optimizer that does not go with it.
    """
    if weight is None or loss.pairing.against != "classes":
        raise ValueError(
            f"loss: it compares {loss.pairing}, and attach_optimizer is for losses that compare "
            "embeddings with class weights; leave the head to optimizer.step()"
        )
    if type(optimizer) not in SUPPORTED:
        raise TypeError(
            f"optimizer: got {type(optimizer).__name__}; attach torch.optim.SGD, Adam or AdamW (others "
            "may look at more than one row at a time), or leave the head to optimizer.step()"
        )
    group = group_of(optimizer, weight)
    for flag in ("differentiable", "capturable"):
        if group.get(flag):
            raise ValueError(
                f"optimizer: {flag}=True records optimizer.step(), which is not what moves an "
                f"attached weight; build it with {flag}=False"
            )
    if weight.dtype == torch.float16:
        raise TypeError(NARROW)
    check_hands_over(backend)
    passes = count_passes(weight, loss, memory)
    if passes > 1:
        raise ValueError(
            f"loss: the gradient of its class weights comes in {passes} passes over all classes, "
            "and the first would move what the next has to read; leave the head to "
            "optimizer.step()"
        )
    if weight.grad is not None and not isinstance(weight.grad, Applied):
        raise ValueError(HELD)
    if is_hooked(weight):
        raise ValueError(HOOKED)
    return weight


def group_of(optimizer: Optimizer, weight: nn.Parameter) -> dict[str, Any]:
    """The settings that the optimizer has for the weight.

    Raises:
        ValueError: it has none.
    """
    for group in optimizer.param_groups:
        if any(parameter is weight for parameter in group["params"]):
            return group
    raise ValueError(
        "optimizer: head.weight is not among its parameters; build it with head.parameters()"
    )


def is_hooked(weight: Tensor) -> bool:
    """Whether somebody waits for the gradient of the weight."""
    return bool(weight._backward_hooks or weight._post_accumulate_grad_hooks)


@dataclass(frozen=True)
class _Asked(Engine):
    """Answers with numbers that a loss may depend on."""

    answers: list[Tensor]

    def __call__(
        self, query: Query, held: Held, workspace: Workspace, ranks: Ranks = ALONE
    ) -> Tensor:
        self.answers.append(query.x.new_zeros(len(query.x), requires_grad=True))
        return self.answers[-1]


def count_passes(weight: Tensor, loss: Loss, memory: Memory) -> int:
    """How often backward would go over all classes: as often as the loss depends on an answer."""
    asked = _Asked([])
    dtype = torch.promote_types(weight.dtype, torch.float32)
    x = torch.ones(1, weight.shape[-1], dtype=dtype, device=weight.device, requires_grad=True)
    label = Targets(torch.zeros(1, 1, dtype=torch.int64, device=weight.device))
    with torch.enable_grad():
        columns = ClassWeights(weight, loss.score, asked, Workspace())
        total = margin_loss(x, label, loss, columns, memory).losses.sum()
        slopes = torch.autograd.grad(total, asked.answers, allow_unused=True)
    return sum(slope is not None for slope in slopes)


def check_hands_over(backend: Backend) -> None:
    """Refuse a backend that makes the whole gradient of the weight at once.

    Raises:
        ValueError: it does.
    """
    engine = engine_of(backend)
    if not engine.capabilities.hands_over:
        raise ValueError(
            f"backend: {engine} makes the whole gradient of the weight at once; build the head with "
            "backend='chunked' for attach_optimizer"
        )
