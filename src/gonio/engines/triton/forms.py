"""How the kernels of `Fused` name a pool, and what they are given of it."""

from typing import NamedTuple

import torch
from torch import Tensor

from gonio.rules import LogSumExp, Mean, SoftplusSum, Sum, WithSum
from gonio.rules.pool import LOG2_E, Pool, ShiftedSumExp, State


class Form(NamedTuple):
    """How the kernels name a pool."""

    name: str
    states: tuple[int, ...]
    """Which of top, total, count and plain sum are its state."""
    shift: float
    sharpness: float
    """What a score is multiplied by before exp2."""
    pool: Pool

    def push(self, state: State, grad: Tensor) -> tuple[str, Tensor, Tensor]:
        """The name in backward, and what to subtract from scores and to multiply with, (batch,)."""
        pool = self.pool
        if isinstance(pool, WithSum):
            pool, state, grad = pool.pool, state[:-1], grad[:, 0]
        if self.name in ("logsumexp", "maximum"):
            top, total = state
            top = top.clamp(min=torch.finfo(top.dtype).min)
            return self.name, top, grad / total.masked_fill(total == 0, 1)
        if self.name == "shifted":  # grad / total would overflow where the sum is small
            value = pool.value(state)
            return "logsumexp", value.clamp(min=torch.finfo(value.dtype).min), grad
        share = grad / state[1].clamp(min=1) if self.name == "mean" else grad
        return self.name, torch.zeros_like(share), share


def form_of(pool: Pool) -> Form | None:
    """None for a pool that the kernels do not know."""
    inner = pool.pool if isinstance(pool, WithSum) else pool
    rest = (3,) if isinstance(pool, WithSum) else ()
    if isinstance(inner, LogSumExp):
        if inner.temperature == 0:
            return Form("maximum", (0, 1, *rest), 0.0, 0.0, pool)
        return Form("logsumexp", (0, 1, *rest), 0.0, LOG2_E / inner.temperature, pool)
    if isinstance(inner, ShiftedSumExp):
        return Form("shifted", (1, *rest), inner.shift, LOG2_E / inner.temperature, pool)
    names = {Sum: ("sum", (1,)), SoftplusSum: ("softplus", (1,)), Mean: ("mean", (1, 2))}
    if type(inner) not in names:
        return None
    name, states = names[type(inner)]
    return Form(name, (*states, *rest), 0.0, 0.0, pool)
