"""Rows that no gradient reaches wait, and take all the steps that they missed at once.

Without a gradient, a step of SGD maps a number of the weight and its momentum linearly,

    m <- mu m + (1 - dampening) decay w         (m <- decay w in the step that makes the momentum)
    w <- w - lr m                               (w <- w - lr (decay w + mu m) with nesterov)

with the same 2 x 2 matrix for all. Of k missed steps it is the product of their matrices, whatever schedule
their settings followed, so one reading of a row does for all of them, exact to rounding.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gonio.optimizer_in_backward.guard import Guard, unguarded
from gonio.optimizer_in_backward.rounding import Rounding

LONGEST = 1024
"""Steps that a row may wait: a dense reading in so many steps costs nothing, and the table stays small."""

BLOCK = 2**20
"""Entries of the weight that move together where no backend gives tiles."""


class LazyRows:
    """How far behind the classes of a weight are, and what they missed.

    Args:
        optimizer: SGD, which has the momentum.
        weight: (classes, ..., dim).
        guard: stands before both while classes wait.
    """

    def __init__(self, optimizer: Optimizer, weight: nn.Parameter, guard: Guard) -> None:
        self._optimizer, self._weight, self._guard = optimizer, weight, guard
        self._momentum: Tensor | None = None
        self._rounding: Rounding
        self._reached = torch.zeros(len(weight), dtype=torch.int32, device=weight.device)
        self._missed = torch.eye(2, dtype=torch.float64)[None]
        """(steps + 1, 2, 2): [k] is the product of the last k steps."""

    @torch.no_grad()
    def catch_up(self, classes: Tensor | None = None) -> None:
        """Bring some classes up to date, or all.

        Args:
            classes: (n,) indices, each once.

        Raises:
            RuntimeError: the weight was written by somebody else while classes waited.
        """
        steps = len(self._missed) - 1
        if steps == 0:
            return
        if self._momentum is not self._momentum_now():  # it was exchanged, and nothing of it waits
            classes = None
        self._guard.move(*self._waiting())
        is_behind = (self._reached if classes is None else self._reached[classes]) < steps
        behind = is_behind.nonzero()[:, 0] if classes is None else classes[is_behind]
        size = max(1, BLOCK // (self._weight.shape.numel() // len(self._weight)))
        for rows in torch.split(behind, size) if len(behind) else ():
            self._move(rows, steps)
        if classes is None:
            self.forget()
        else:
            self._guard.wait(*self._waiting())

    def forget(self) -> None:
        """All classes are up to date."""
        self._reached.zero_()
        self._missed = self._missed[:1]
        self._guard.off()

    def step(
        self,
        settings: dict[str, Any],
        rounding: Rounding,
        *,
        makes_momentum: bool,
        has_moved: Tensor,
    ) -> None:
        """Count a step that some classes, which were up to date, have taken.

        Args:
            settings: of the optimizer.
            rounding: of those that take it later.
            makes_momentum: whether there was none before.
            has_moved: (classes,) bool.
        """
        last = _map(settings, makes_momentum=makes_momentum)
        self._missed = torch.cat([self._missed[:1], last @ self._missed])
        steps = len(self._missed) - 1
        self._reached.masked_fill_(has_moved, steps)
        self._momentum, self._rounding = self._momentum_now(), rounding
        self._guard.wait(*self._waiting())
        if steps == LONGEST:
            self.catch_up()

    def _move(self, classes: Tensor, steps: int) -> None:
        weight = _by_class(self._weight)
        w = weight[classes]
        w = w.to(torch.promote_types(w.dtype, torch.float32))
        age = (steps - self._reached[classes]).cpu()
        self._reached[classes] = steps
        maps = (self._missed[age] - _KEEPS).to(w)[..., None]
        moved = maps[:, 0, 0] * w
        if self._momentum is not None:
            momentum = _by_class(self._momentum)
            m = momentum[classes].to(w.dtype)
            moved.addcmul_(maps[:, 0, 1], m)
            m = (maps[:, 1, 0] * w).addcmul_(maps[:, 1, 1], m)
            momentum[classes] = self._rounding(m, momentum.dtype)
        weight[classes] = self._rounding(w.add_(moved), weight.dtype)

    def _momentum_now(self) -> Tensor | None:
        found: Tensor | None = self._optimizer.state.get(self._weight, {}).get("momentum_buffer")
        return found

    def _waiting(self) -> list[Tensor]:
        return [one for one in (self._weight, self._momentum) if one is not None]


_KEEPS = torch.tensor([[1.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
"""What of (weight, momentum) a move is added to."""


def _map(settings: dict[str, Any], *, makes_momentum: bool) -> Tensor:
    """(2, 2) float64: (weight, momentum) -> the same after a step of SGD without a gradient."""
    lr, decay = float(settings["lr"]), float(settings["weight_decay"])
    mu, dampening = float(settings["momentum"]), float(settings["dampening"])
    momentum, move = (0.0, 1.0), (decay, 0.0)
    if mu != 0:
        momentum = (decay, 0.0) if makes_momentum else ((1 - dampening) * decay, mu)
        move = momentum
        if settings["nesterov"]:
            move = decay + mu * momentum[0], mu * momentum[1]
    weight = 1 - lr * move[0], -lr * move[1]
    return torch.tensor([weight, momentum], dtype=torch.float64)


def _by_class(tensor: Tensor) -> Tensor:
    """(classes, ...) -> (classes, numbers)."""
    return unguarded(tensor).view(len(tensor), -1)
