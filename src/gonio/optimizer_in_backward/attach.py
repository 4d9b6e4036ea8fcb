"""What an optimizer can be attached to, and what it is that is attached."""

from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from gonio.engines.seam import Classes, Negatives, Update
from gonio.loss import Loss
from gonio.margin_loss import margin_loss
from gonio.optimizer_in_backward.applied import MEND, Applied
from gonio.rules.facts import Memory, Sample
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


class Tiled(Protocol):
    """A backend that hands the gradient of the weight over piece by piece."""

    def into(self, update: Update) -> Negatives:
        """The same backend, with where it hands it to."""

    def clear(self) -> None:
        """Give the memory of that gradient back."""


def attachable(
    optimizer: Optimizer,
    weight: nn.Parameter | None,
    backend: Negatives,
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
    tiled(backend)
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


def tiled(backend: Negatives) -> Tiled:
    """A backend, known to hand the gradient over piece by piece.

    Raises:
        ValueError: it does not.
    """
    if not hasattr(backend, "into"):
        name = getattr(backend, "__name__", backend)
        raise ValueError(
            f"backend: {name!r} makes the whole gradient of the weight at once; build the head with "
            "backend='chunked' for attach_optimizer"
        )
    found: Any = backend
    known: Tiled = found
    return known


def is_hooked(weight: Tensor) -> bool:
    """Whether somebody waits for the gradient of the weight."""
    return bool(weight._backward_hooks or weight._post_accumulate_grad_hooks)


def count_passes(weight: Tensor, loss: Loss, memory: Memory) -> int:
    """How often backward would go over all classes: as often as the loss depends on an answer."""
    answers: list[Tensor] = []

    def asked(x: Tensor, classes: Classes, sample: Sample, labels: Tensor, loss: Loss) -> Tensor:
        answers.append(x.new_zeros(len(x), requires_grad=True))
        return answers[-1]

    dtype = torch.promote_types(weight.dtype, torch.float32)
    x = torch.ones(1, weight.shape[-1], dtype=dtype, device=weight.device, requires_grad=True)
    label = Targets(torch.zeros(1, 1, dtype=torch.int64, device=weight.device))
    with torch.enable_grad():
        total = margin_loss(x, Classes(weight), label, loss, asked, memory).losses.sum()
        slopes = torch.autograd.grad(total, answers, allow_unused=True)
    return sum(slope is not None for slope in slopes)
