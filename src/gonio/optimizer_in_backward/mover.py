"""An optimizer that moves the weight of a head, and what a forward pass leaves to its backward pass."""

import warnings

import torch
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge
from torch.optim import SGD, Optimizer

from gonio.engines import Backend, Sampled
from gonio.loss import Loss
from gonio.optimizer_in_backward.applied import APPLIED, MEND, Applied
from gonio.optimizer_in_backward.attach import HELD, HOOKED, NARROW, attachable, is_hooked
from gonio.optimizer_in_backward.guard import INTERRUPTED, Guard, past_guards
from gonio.optimizer_in_backward.lazy import LazyRows
from gonio.optimizer_in_backward.rounding import Rounding
from gonio.optimizer_in_backward.step import Step, rows_of_state
from gonio.ranks import is_distributed
from gonio.rules.facts import Memory

KEPT = (
    "head.weight: an interrupted backward pass (attach_optimizer) left some rows of it, and of the optimizer's "
    "state, with the step and others without, and so they stay; load what was saved of both to be rid of that"
)
MOVED = (
    "head.weight: since this forward pass the backward pass of another has moved it "
    "(attach_optimizer), so this gradient can no longer be known; run one backward for each forward, "
    f"with all samples in one batch, {MEND}"
)


class Mover:
    """An optimizer attached to the weight of a head. A copy or a pickle of it is None.

    Args:
        optimizer: SGD, Adam or AdamW, with the weight among its parameters.
        weight: the head's, or None.
        backend: the head's.
        loss: without schedules, and bound.
        memory: what the head keeps.

    Raises:
        TypeError: an optimizer of another type, or a weight in float16.
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
        self.optimizer = optimizer
        self.weight = attachable(optimizer, weight, backend, loss, memory)
        self.moves = 0
        """Backward passes that moved the weight."""
        self.guard = Guard(self.catch_up)
        self.lazy: LazyRows | None = None
        if isinstance(backend, Sampled) and isinstance(optimizer, SGD):
            self.lazy = LazyRows(optimizer, self.weight, self.guard)
        self._hook = optimizer.register_step_pre_hook(lambda *_: self._drop_applied())

    def release(self) -> None:
        """Leave the weight to `optimizer.step()` again; graphs that wait for their backward are void."""
        if self._is_interrupted():
            warnings.warn(KEPT, stacklevel=3)
            self._resume()
        self.catch_up()
        self._hook.remove()
        self._drop_applied()
        self.moves += 1

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def catch_up(self, classes: Tensor | None = None) -> None:
        """Bring (n,) classes up to date that were not drawn for some steps, or all.

        Raises:
            RuntimeError: a backward pass that moved the weight was interrupted, or the weight was
                written while classes waited.
        """
        if self._is_interrupted():
            raise RuntimeError(INTERRUPTED)
        if self.guard.is_moving:  # all that an interrupted step left behind was replaced
            self._resume()
        if self.lazy is not None:
            self.lazy.catch_up(classes)

    def check(self, embeddings: Tensor) -> None:
        """Refuse what would move the weight wrongly.

        Raises:
            TypeError: float16 embeddings or weight, or float16 autocast.
            RuntimeError: several ranks.
        """
        if self.weight.dtype == torch.float16:
            raise TypeError(NARROW)
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

    def begin(self, weight: Tensor | None, labels: Tensor, step: int) -> "Pass":
        """What takes the gradient of the weight, for a forward pass with (batch, k) labels at a step of the head.

        Raises:
            RuntimeError: the weight is another than the one that was attached.
        """
        if weight is not self.weight:
            raise RuntimeError(
                "head.weight: it is another tensor than the one that was attached; build the optimizer "
                "with it and call head.attach_optimizer() again"
            )
        return Pass(self, labels, step)

    def _is_interrupted(self) -> bool:
        rows = rows_of_state(self.optimizer, self.weight).values()
        return self.guard.is_moving and self.guard.holds(self.weight, *rows)

    def _resume(self) -> None:
        """Go on from what is there, which is half a step or was replaced."""
        if self.lazy is not None and not self.guard.holds(self.weight):
            self.lazy.forget()
        self.guard.off()

    def _drop_applied(self) -> None:
        if isinstance(self.weight.grad, Applied):
            self.weight.grad = None

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()


class Pass:
    """From one forward to its backward; see `gonio.engines.workspace.Update`.

    Args:
        mover: of the head.
        labels: (batch, k), of the batch.
        step: of the head.
    """

    def __init__(self, mover: Mover, labels: Tensor, step: int) -> None:
        self._mover, self._moves, self._number = mover, mover.moves, step
        # a label without mass comes back as class 0
        self._own = torch.unique(torch.cat([labels.flatten(), labels.new_zeros(1)]))
        self._step: Step | None = None

    def follow(self, losses: Tensor) -> None:
        """Begin where backward comes to the losses of that forward pass."""
        losses.register_hook(self.open)  # type: ignore[no-untyped-call]

    def open(self, _: Tensor) -> None:
        """Begin a backward pass.

        Raises:
            RuntimeError: the weight cannot move by it.
        """
        mover = self._mover
        weight = mover.weight
        try:
            with past_guards():
                node = get_gradient_edge(weight).node
            reaches = torch._C._will_engine_execute_node(node)
        except RuntimeError:  # torch.autograd.grad asks for the gradient of the weight itself
            raise RuntimeError(APPLIED) from None
        if mover.moves != self._moves:
            raise RuntimeError(MOVED)
        self._step = None
        if not reaches:
            return
        if weight.grad is not None:
            raise RuntimeError(HELD)
        if is_hooked(weight):
            raise RuntimeError(HOOKED)
        mover.moves += 1
        rounding = Rounding(self._number, weight.device)
        self._step = Step(mover.optimizer, weight, self._own, mover.guard, mover.lazy, rounding)

    def take(self, rows: slice | Tensor, gradient: Tensor) -> None:
        """See `gonio.engines.workspace.Update`."""
        if self._step is not None:
            self._step.take(rows, gradient)

    def add(self, classes: Tensor, gradient: Tensor) -> None:
        """See `gonio.engines.workspace.Update`."""
        if self._step is not None:
            self._step.add(classes, gradient)

    def finish(self, classes: Tensor, gradient: Tensor | None) -> None:
        """See `gonio.engines.workspace.Update`."""
        step, self._step = self._step, None
        assert step is not None, "a loss is differentiated before the weight"
        step.finish(classes, gradient)
