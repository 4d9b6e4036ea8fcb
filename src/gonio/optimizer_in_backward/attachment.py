"""An optimizer attached to a head, and what a forward pass leaves to its backward pass."""

from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge
from torch.optim import SGD, Adam, AdamW, Optimizer

from gonio.engines import Sampled
from gonio.engines.seam import Classes, Negatives, Update
from gonio.loss import Loss
from gonio.margin_loss import Result, margin_loss
from gonio.optimizer_in_backward.applied import APPLIED, MEND, Applied
from gonio.optimizer_in_backward.lazy import LazyRows
from gonio.optimizer_in_backward.move import Move, group_of
from gonio.ranks import is_distributed
from gonio.rules.facts import Memory, Sample
from gonio.targets import Targets

SUPPORTED = (SGD, Adam, AdamW)

MOVED = (
    "head.weight: since this forward pass the backward pass of another has moved it "
    "(attach_optimizer), so this gradient can no longer be known; run one backward for each forward, "
    f"with all samples in one batch, {MEND}"
)
HELD = (
    "head.weight: it still has the gradient of an earlier backward pass, and attach_optimizer, which "
    "applies each at once, cannot accumulate; call optimizer.step() and zero_grad(set_to_none=True) "
    f"after each backward, {MEND}"
)


class Tiled(Protocol):
    """A backend that hands the gradient of the weight over piece by piece."""

    def into(self, update: Update) -> Negatives:
        """The same backend, with where it hands it to."""

    def clear(self) -> None:
        """Give the memory of that gradient back."""


class Attachment:
    """An optimizer that moves the weight of a head in backward. A copy or a pickle of it is None.

    Args:
        optimizer: SGD, Adam or AdamW, with the weight among its parameters.
        weight: the head's, or None.
        backend: the head's.
        loss: without schedules, and bound.
        memory: what the head keeps.

    Raises:
        TypeError: an optimizer of another type.
        ValueError: a weight, backend, loss or setting of the optimizer that does not go with it.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        weight: nn.Parameter | None,
        backend: Negatives,
        loss: Loss,
        memory: Memory,
    ) -> None:
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
        tiled = _tiled(backend)
        passes = count_passes(weight, loss, memory)
        if passes > 1:
            raise ValueError(
                f"loss: the gradient of its class weights comes in {passes} passes over all classes, "
                "and the first would move what the next has to read; leave the head to "
                "optimizer.step()"
            )
        if weight.grad is not None and not isinstance(weight.grad, Applied):
            raise ValueError(HELD)
        tiled.clear()
        self.optimizer, self.weight = optimizer, weight
        self.moves = 0
        self.lazy: LazyRows | None = None
        self._hooks = [optimizer.register_step_pre_hook(lambda *_: self._forget())]
        if isinstance(backend, Sampled) and isinstance(optimizer, SGD):
            self.lazy = LazyRows(optimizer, weight)
            for register in (
                optimizer.register_state_dict_pre_hook,
                optimizer.register_load_state_dict_pre_hook,
            ):
                self._hooks.append(register(lambda *_: self.catch_up()))

    def release(self) -> None:
        """Leave the weight to `optimizer.step()` again; graphs that wait for their backward are void."""
        self.catch_up()
        for hook in self._hooks:
            hook.remove()
        self._forget()
        self.moves += 1

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def catch_up(self, classes: Tensor | None = None) -> None:
        """Bring (n,) classes up to date that were not drawn for some steps, or all."""
        if self.lazy is not None:
            self.lazy.catch_up(classes)

    def check(self, embeddings: Tensor) -> None:
        """Refuse what would move the weight wrongly.

        Raises:
            TypeError: float16 embeddings, or float16 autocast.
            RuntimeError: several ranks.
        """
        kind = embeddings.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
        if torch.float16 in (embeddings.dtype, dtype):
            raise TypeError(
                "embeddings: float16 asks for a GradScaler, and backward would apply the scaled "
                f"gradient (attach_optimizer); take bfloat16, {MEND}"
            )
        if is_distributed():
            raise RuntimeError(
                "head.weight: each rank would move its copy by its own batch alone "
                f"(attach_optimizer); run a single process, {MEND}"
            )

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def losses(
        self,
        x: Tensor,
        classes: Classes,
        targets: Targets,
        loss: Loss,
        backend: Negatives,
        memory: Memory,
    ) -> Result:
        """`gonio.margin_loss.margin_loss`, whose backward moves the weight."""
        if classes.weight is not self.weight:
            raise RuntimeError(
                "head.weight: it is another tensor than the one that was attached; build the optimizer "
                "with it and call head.attach_optimizer() again"
            )
        update = Pass(self, targets.labels)
        # the own classes are among those that are drawn, and class 0 never waits
        self.catch_up(backend.drawn if isinstance(backend, Sampled) else None)
        result = margin_loss(x, classes, targets, loss, _tiled(backend).into(update), memory)
        result.losses.register_hook(update.open)  # type: ignore[no-untyped-call]
        return result

    def _forget(self) -> None:
        if isinstance(self.weight.grad, Applied):
            self.weight.grad = None

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()


class Pass:
    """From one forward to its backward; see `gonio.engines.seam.Update`.

    Args:
        attachment: of the head.
        labels: (batch, k), of the batch.
    """

    def __init__(self, attachment: Attachment, labels: Tensor) -> None:
        self._attachment, self._moves = attachment, attachment.moves
        # a label without mass comes back as class 0
        self._own = torch.unique(torch.cat([labels.flatten(), labels.new_zeros(1)]))
        self._move: Move | None = None

    def open(self, _: Tensor) -> None:
        """Begin a backward pass.

        Raises:
            RuntimeError: the weight cannot move by it.
        """
        attachment = self._attachment
        weight = attachment.weight
        try:
            reaches = torch._C._will_engine_execute_node(get_gradient_edge(weight).node)
        except RuntimeError:  # torch.autograd.grad asks for the gradient of the weight itself
            raise RuntimeError(APPLIED) from None
        if attachment.moves != self._moves:
            raise RuntimeError(MOVED)
        self._move = None
        if not reaches:
            return
        if weight.grad is not None:
            raise RuntimeError(HELD)
        attachment.moves += 1
        self._move = Move(attachment.optimizer, weight, self._own, attachment.lazy)

    def take(self, rows: slice | Tensor, gradient: Tensor) -> None:
        """See `gonio.engines.seam.Update`."""
        if self._move is not None:
            self._move.take(rows, gradient)

    def finish(self, classes: Tensor, gradient: Tensor | None) -> None:
        """See `gonio.engines.seam.Update`."""
        move, self._move = self._move, None
        assert move is not None, "a loss is differentiated before the weight"
        move.finish(classes, gradient)


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


def _tiled(backend: Negatives) -> Tiled:
    if not hasattr(backend, "into"):
        name = getattr(backend, "__name__", backend)
        raise ValueError(
            f"backend: {name!r} makes the whole gradient of the weight at once; build the head with "
            "backend='chunked' for attach_optimizer"
        )
    tiled: Any = backend
    found: Tiled = tiled
    return found
