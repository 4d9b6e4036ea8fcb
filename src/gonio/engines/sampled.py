"""A part of the classes as negatives, drawn anew at each step."""

import copy
import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from gonio.base.numbers import real_number, whole_number
from gonio.engines.buffer import Buffer
from gonio.engines.chunked import Chunked, gradient_buffer
from gonio.engines.compaction import LastStep
from gonio.engines.memory import needing
from gonio.engines.seam import Classes, Update
from gonio.engines.tile import rows_of
from gonio.loss import Loss
from gonio.rules.facts import Sample


@dataclass(frozen=True)
class Sampled:
    """The backend: in training, the classes of the batch and some others; else all classes.

    A step costs what it would cost with `rate` times the classes. The loss is that of the drawn classes,
    without a correction for those left out, as in the paper. What is drawn depends on `seed`, the
    head's `step` (saved with it) and the labels alone: a resumed run draws the same, and so do all ranks
    with the same labels.

    Args:
        rate: share of all classes that are drawn, in (0, 1]. The classes of the batch are always among
            them, even if they are more.
        backend: sees the drawn classes.
        seed: of the draws, >= 0.

    Raises:
        TypeError: a backend or setting of another kind.
        ValueError: a number outside its range.

    Source: An et al., "Partial FC: training 10 million identities on a single machine", ICCV workshops
    2021; and "Killing two birds with one stone", CVPR 2022.
    """

    rate: float
    backend: Chunked = field(default_factory=Chunked)
    seed: int = 0
    drawn: Tensor | None = field(default=None, init=False, repr=False, compare=False)
    update: Update | None = field(default=None, init=False, repr=False, compare=False)
    _gradient: Buffer = field(
        default_factory=gradient_buffer, init=False, repr=False, compare=False
    )
    hands_over_gradient = True  # the weight's gradient is a buffer of our own making

    def __post_init__(self) -> None:
        real_number("rate", self.rate)
        whole_number("seed", self.seed, 0)
        if not 0 < self.rate <= 1:
            raise ValueError(f"rate: {self.rate} is out of range (0, 1]; 1 is all classes")
        if not isinstance(self.backend, Chunked):
            raise TypeError(f"backend: {self.backend!r} draws no classes; pass Chunked(...)")

    @property
    def last_step(self) -> LastStep:
        """That of the backend which sees the drawn classes."""
        return self.backend.last_step

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def at(self, step: int, num_classes: int, labels: Tensor) -> "Sampled":
        """As it is in training, at a step, with a batch: `drawn` are the classes that take part."""
        return self._with(drawn=self.draw(num_classes, labels, step))

    def into(self, update: Update) -> "Sampled":
        """The same backend, which hands the weight's gradient to `update`, tile by tile."""
        return self._with(update=update)

    def clear(self) -> None:
        """Give the memory of the weight's gradient back, until it is needed again."""
        self._gradient.clear()
        self.backend.clear()

    def _with(self, **changes: Any) -> "Sampled":
        other = copy.copy(self)  # with the same memory
        for name, value in changes.items():
            object.__setattr__(other, name, value)
        return other

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def __call__(
        self, x: Tensor, classes: Classes, sample: Sample, labels: Tensor, loss: Loss
    ) -> Tensor:
        """See `gonio.engines.seam.Negatives`."""
        drawn, update = self.drawn, self.update
        if drawn is not None:
            if update is not None:
                update = OfDrawn(update, drawn, classes.weight)
            weight = _Gathered.apply(classes.weight, drawn, self._gradient)  # type: ignore[no-untyped-call]
            offset = None if classes.offset is None else classes.offset[drawn]
            whose = drawn if classes.labels is None else classes.labels[drawn]
            classes = Classes(weight, offset, whose)
        inner = self.backend if update is None else self.backend.into(update)
        pool: Tensor = inner(x, classes, sample, labels, loss)
        return pool

    def draw(self, num_classes: int, labels: Tensor, step: int) -> Tensor:
        """(batch,) or (batch, k) labels in [0, classes) -> indices of the drawn classes, in ascending order."""
        device = labels.device
        generator = torch.Generator(device).manual_seed((self.seed * SPREAD + step) % 2**63)
        order = torch.randperm(num_classes, generator=generator, device=device)
        own = torch.unique(labels)
        is_own = torch.zeros(num_classes, dtype=torch.bool, device=device)
        is_own[own] = True
        others = order[~is_own[order]]
        most = math.floor(self.rate * num_classes * (1 + ROUNDED))
        num_others = max(0, most - len(own))
        return torch.cat([own, others[:num_others]]).sort().values


ROUNDED = 1e-12
"""By how much a share of the classes may have been rounded down."""

SPREAD = 6_364_136_223_846_793_005
"""Between the generators of neighbouring seeds, so that their steps do not meet."""


class OfDrawn:
    """Takes rows of the drawn classes' weight, and hands them on as rows of the whole weight."""

    def __init__(self, update: Update, drawn: Tensor, weight: Tensor) -> None:
        self._update = update
        self._rows = rows_of(drawn, math.prod(weight.shape[1:-1]))

    def take(self, rows: slice | Tensor, gradient: Tensor) -> None:
        """See `gonio.engines.seam.Update`."""
        self._update.take(self._rows[rows], gradient)

    def finish(self, classes: Tensor, gradient: Tensor | None) -> None:
        """See `gonio.engines.seam.Update`."""
        self._update.finish(classes, gradient)


class _Gathered(torch.autograd.Function):
    """(classes, ...), (drawn,) -> (drawn, ...): the rows; back, zeros and their gradient among them."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, drawn: Tensor, memory: Buffer) -> Tensor:
        ctx.save_for_backward(drawn)
        ctx.shape, ctx.memory = weight.shape, memory
        ctx.set_materialize_grads(False)
        size = weight[0].numel() * len(drawn) * weight.element_size()
        with needing(f"the weight of {len(drawn)} drawn classes", size, "a lower rate needs less"):
            return weight[drawn]

    @staticmethod
    def backward(ctx: Any, rows: Tensor | None) -> tuple[Tensor | None, None, None]:
        if rows is None:  # an update has them
            return None, None, None
        (drawn,) = ctx.saved_tensors
        whole = ctx.memory.lend(ctx.shape, rows.dtype, rows.device)
        return whole.zero_().index_copy_(0, drawn, rows), None, None
