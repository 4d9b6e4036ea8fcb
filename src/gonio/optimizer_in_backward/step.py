"""One step of the weight, taken tile by tile by the optimizer's own arithmetic."""

import copy
from bisect import bisect_left
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gonio.engines.memory import needing
from gonio.engines.tile import rows_of
from gonio.optimizer_in_backward.applied import applied
from gonio.optimizer_in_backward.attach import group_of
from gonio.optimizer_in_backward.guard import Guard, unguarded
from gonio.optimizer_in_backward.lazy import BLOCK, LazyRows
from gonio.optimizer_in_backward.rounding import Rounding


class Step:
    """One step of the weight.

    An optimizer of the same class, with rows of the weight, of their gradient and of their state, does
    the arithmetic, in float32 or wider. The rows of the batch's own classes, whose gradient is complete
    only at the end, are set aside as they were, and take their step from there. From the first row to the
    last the guard lets nobody touch the weight and its state.

    Args:
        optimizer: has the state.
        weight: (classes, dim) or (classes, centers, dim).
        own: (n,) own classes of the batch, sorted, each once.
        guard: of the weight and its state.
        lazy: takes the step later of rows without a gradient; None takes it now.
        rounding: of what is kept in bfloat16.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        weight: nn.Parameter,
        own: Tensor,
        guard: Guard,
        lazy: LazyRows | None,
        rounding: Rounding,
    ) -> None:
        self._optimizer, self._parameter = optimizer, weight
        self._guard, self._lazy, self._rounding = guard, lazy, rounding
        self._group = group_of(optimizer, weight)
        self._weight = _flat(unguarded(weight))
        self._dtype = torch.promote_types(weight.dtype, torch.float32)
        self._guarded = rows_of_state(optimizer, weight)
        self._before = {name: _flat(unguarded(value)) for name, value in self._guarded.items()}
        self._shared = {
            name: value
            for name, value in optimizer.state.get(weight, {}).items()
            if value is not None and name not in self._before
        }
        self._made: dict[str, Tensor] = {}
        self._own = self._rows_of(own)
        self._own_list: list[int] = self._own.tolist()
        self._own_weight, self._own_before = self._at(self._own)
        self._own_gradient = torch.zeros_like(self._own_weight)
        self._added: list[tuple[Tensor, Tensor]] = []
        self._is_taken = torch.zeros(len(self._weight), dtype=torch.bool, device=own.device)
        self._has_begun = False

    def take(self, rows: slice | Tensor, gradient: Tensor) -> None:
        """Step all of the rows; `finish` overwrites those of the own classes."""
        self._begin()
        gradient = gradient.to(self._dtype)
        if isinstance(rows, slice):
            here = slice(*(bisect_left(self._own_list, end) for end in (rows.start, rows.stop)))
            self._own_gradient[here] = gradient[self._own[here] - rows.start]
        else:
            place = torch.searchsorted(rows, self._own).clamp(max=len(rows) - 1)
            is_here = rows[place] == self._own
            self._own_gradient[is_here] = gradient[place[is_here]]
        self._is_taken[rows] = True
        weight, before = self._at(rows)
        state = before | copy.deepcopy(self._shared)  # a step of each tile is one of the counter
        self._put(rows, weight, self._stepped(weight, gradient, state))

    def add(self, classes: Tensor, gradient: Tensor) -> None:
        """Keep the gradient of own classes for the end."""
        self._added.append((self._rows_of(classes), _flat(gradient).to(self._dtype)))

    def finish(self, classes: Tensor, gradient: Tensor | None) -> None:
        """Step the own rows, and leave the state as the ordinary optimizer would."""
        self._begin()
        if self._lazy is None:
            self._take_the_rest()
        if gradient is not None:
            self.add(classes, gradient)
        total, weight = self._total(), self._own_weight
        state = self._stepped(weight, total, self._own_before | self._shared)
        self._put(self._own, weight, state)
        shared = {name: value for name, value in state.items() if not _has_rows(value, total)}
        shape = self._parameter.shape
        made = {name: value.view(shape) for name, value in self._made.items()} | shared
        if made:
            self._optimizer.state[self._parameter].update(made)
        self._parameter.grad = applied(self._parameter)
        if self._lazy is None:
            self._guard.off()
            return
        self._is_taken[self._own] = True
        has_moved = self._is_taken.view(len(self._parameter), -1)[:, 0]
        is_first = "momentum_buffer" not in self._before
        self._lazy.step(self._group, self._rounding, makes_momentum=is_first, has_moved=has_moved)

    def _total(self) -> Tensor:
        """The whole gradient of the own rows: that of the pool, and what was added, in the order it came."""
        rows, gradients = zip((self._own, self._own_gradient), *self._added, strict=True)
        place = torch.cat(rows)
        count = torch.unique(place, return_counts=True)[1]
        ordered = torch.cat(gradients)[place.argsort(stable=True)]
        return torch.segment_reduce(ordered, "sum", lengths=count, axis=0)

    def _begin(self) -> None:
        if not self._has_begun:
            self._guard.move(self._parameter, *self._guarded.values())
            self._has_begun = True

    def _at(self, rows: slice | Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Rows of the weight and of its state, in the dtype to compute in."""
        before = {name: value[rows].to(self._dtype) for name, value in self._before.items()}
        return self._weight[rows].to(self._dtype), before

    def _put(self, rows: slice | Tensor, weight: Tensor, state: dict[str, Any]) -> None:
        """Keep rows of the weight and of its state."""
        pairs = [(self._weight, weight)]
        for name, value in state.items():
            if _has_rows(value, weight):
                pairs.append((self._whole(name), value))
        for whole, value in pairs:
            if isinstance(rows, slice) and whole[rows].data_ptr() == value.data_ptr():
                continue  # it was stepped in place
            whole[rows] = self._rounding(value, whole.dtype)

    def _take_the_rest(self) -> None:
        """Step the rows without a gradient, which momentum and decay move."""
        size = max(1, BLOCK // self._weight.shape[1])
        for rows in torch.split((~self._is_taken).nonzero()[:, 0], size):
            if len(rows):
                dim = self._weight.shape[1]
                self.take(rows, self._own_gradient.new_zeros(len(rows), dim))

    def _stepped(self, weight: Tensor, gradient: Tensor, state: dict[str, Any]) -> dict[str, Any]:
        """Step rows of the weight in place -> their new state, in place where there was one."""
        rows = nn.Parameter(weight)
        rows.grad = gradient
        kind: Any = type(self._optimizer)
        shadow = kind([self._group | {"params": [rows]}])
        shadow.state[rows] = state
        kind.step.__wrapped__(shadow)  # without anyone's hooks
        found: dict[str, Any] = shadow.state[rows]
        return found

    def _whole(self, name: str) -> Tensor:
        """State of all rows; where there was none, it is made."""
        if name in self._before:
            return self._before[name]
        if name not in self._made:
            size = self._weight.numel() * self._weight.element_size()
            mend = "torch.optim.SGD without momentum keeps none"
            with needing(f"the optimizer's {name} of head.weight", size, mend):
                self._made[name] = torch.zeros_like(self._weight)
        return self._made[name]

    def _rows_of(self, classes: Tensor) -> Tensor:
        """(n,) classes -> the rows of the flattened weight that are theirs, in order."""
        return rows_of(classes, len(self._weight) // len(self._parameter))


def rows_of_state(optimizer: Optimizer, weight: Tensor) -> dict[str, Tensor]:
    """What the optimizer keeps for each number of the weight."""
    state = optimizer.state.get(weight, {})
    return {name: value for name, value in state.items() if _has_rows(value, weight)}


def _flat(of_classes: Tensor) -> Tensor:
    """(n, ..., dim) -> (rows, dim)."""
    return of_classes.view(-1, of_classes.shape[-1])


def _has_rows(value: object, weight: Tensor) -> bool:
    return isinstance(value, Tensor) and value.shape == weight.shape
