"""An optimizer attached to a head, and what a forward pass leaves to its backward pass."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge
from torch.optim import SGD, Adam, AdamW, Optimizer

from gonio.columns import ClassWeights
from gonio.engines import Backend, Sampled, engine_of
from gonio.engines.seam import Engine, Held, Query
from gonio.engines.workspace import Workspace
from gonio.equation import margin_loss
from gonio.loss import Loss
from gonio.optimizer_in_backward.applied import APPLIED, MEND, Applied
from gonio.optimizer_in_backward.lazy import LazyRows
from gonio.optimizer_in_backward.move import Move, group_of
from gonio.ranks import ALONE, Ranks, is_distributed
from gonio.rules.facts import Memory
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
        backend: Backend,
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

    def begin(self, weight: Tensor | None, labels: Tensor) -> "Pass":
        """What takes the gradient of the weight, for a forward pass with (batch, k) labels.

        Raises:
            RuntimeError: the weight is another than the one that was attached.
        """
        if weight is not self.weight:
            raise RuntimeError(
                "head.weight: it is another tensor than the one that was attached; build the optimizer "
                "with it and call head.attach_optimizer() again"
            )
        return Pass(self, labels)

    def _forget(self) -> None:
        if isinstance(self.weight.grad, Applied):
            self.weight.grad = None

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()


class Pass:
    """From one forward to its backward; see `gonio.engines.workspace.Update`.

    Args:
        attachment: of the head.
        labels: (batch, k), of the batch.
    """

    def __init__(self, attachment: Attachment, labels: Tensor) -> None:
        self._attachment, self._moves = attachment, attachment.moves
        # a label without mass comes back as class 0
        self._own = torch.unique(torch.cat([labels.flatten(), labels.new_zeros(1)]))
        self._move: Move | None = None

    def follow(self, losses: Tensor) -> None:
        """Begin where backward comes to the losses of that forward pass."""
        losses.register_hook(self.open)  # type: ignore[no-untyped-call]

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
        """See `gonio.engines.workspace.Update`."""
        if self._move is not None:
            self._move.take(rows, gradient)

    def finish(self, classes: Tensor, gradient: Tensor | None) -> None:
        """See `gonio.engines.workspace.Update`."""
        move, self._move = self._move, None
        assert move is not None, "a loss is differentiated before the weight"
        move.finish(classes, gradient)


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
