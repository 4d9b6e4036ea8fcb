"""A part of the classes as negatives, drawn anew at each step."""

import copy
import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from gonio.engines.buffer import Buffer
from gonio.engines.chunked import Chunked, gradient_buffer
from gonio.engines.compaction import LastStep
from gonio.engines.memory import needing
from gonio.engines.seam import Classes, Update
from gonio.engines.tile import rows_of
from gonio.loss import Loss
from gonio.rules.facts import Sample
from gonio.rules.number import extremes
from gonio.rules.pool import LogSumExp
from gonio.rules.ranges import real_number, whole_number
from gonio.rules.schedule import Schedule


@dataclass(frozen=True)
class Sampled:
    """The backend: in training, the classes of the batch and some others; else all classes.

    A step costs what it would cost with `rate` times the classes. What is drawn depends on `seed`, the
    head's `step` (saved with it) and the labels alone: a resumed run draws the same, and so do all ranks
    with the same labels.

    As published, the loss is that of the drawn classes alone, which is smaller than that of all. Corrected,
    a pool T log sum exp(z / T) estimates that of all classes: each class that was drawn stands for those
    that were not,

        z_j - T log p,   p = drawn classes / classes,   both without the batch's own

    where p is the probability that j is drawn, given the labels. The batch's own classes are always there,
    p = 1, so their scores stay as they are. The sum of exponentials is then right on average over draws;
    its logarithm is a little low, by half the relative variance of that sum.

    Args:
        rate: share of all classes that are drawn, in (0, 1]; or a schedule of it. The classes of the
            batch are always among them, even if they are more.
        backend: sees the drawn classes.
        seed: of the draws, >= 0.
        corrected: whether the pool estimates that of all classes. At least one class that is not in
            the batch is then drawn. For losses whose pool is a `LogSumExp` above temperature 0.

    Raises:
        TypeError: a backend or setting of another kind.
        ValueError: a number outside its range.

    Source: An et al., "Partial FC: training 10 million identities on a single machine", ICCV workshops
    2021; and "Killing two birds with one stone", CVPR 2022. The correction is the estimator of a sum by
    Horvitz and Thompson, Journal of the American Statistical Association 47, 1952, for draws without
    replacement; as log probabilities in a softmax, Bengio and Senecal, AISTATS 2003.
    """

    rate: float | Schedule
    backend: Chunked = field(default_factory=Chunked)
    seed: int = 0
    corrected: bool = False
    drawn: Tensor | None = field(default=None, init=False, repr=False, compare=False)
    log_probability: Tensor | None = field(default=None, init=False, repr=False, compare=False)
    update: Update | None = field(default=None, init=False, repr=False, compare=False)
    _gradient: Buffer = field(
        default_factory=gradient_buffer, init=False, repr=False, compare=False
    )
    hands_over_gradient = True  # the weight's gradient is a buffer of our own making

    def __post_init__(self) -> None:
        if not isinstance(self.rate, Schedule):
            real_number("rate", self.rate)
        least, most = extremes(self.rate)
        if not 0 < least <= most <= 1:
            raise ValueError(f"rate: {self.rate} is out of range (0, 1]; 1 is all classes")
        whole_number("seed", self.seed, 0)
        if not isinstance(self.corrected, bool):
            raise TypeError(f"corrected: got {self.corrected!r}, which is neither True nor False")
        if not isinstance(self.backend, Chunked):
            raise TypeError(f"backend: {self.backend!r} draws no classes; pass Chunked(...)")

    @property
    def last_step(self) -> LastStep:
        """That of the backend which sees the drawn classes."""
        return self.backend.last_step

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def at(self, step: int, num_classes: int, labels: Tensor) -> "Sampled":
        """As it is in training, at a step, with a batch: `drawn` are the classes that take part."""
        drawn = self.draw(num_classes, labels, step)
        if not self.corrected:
            return self._with(drawn=drawn)
        is_own = torch.isin(drawn, labels)
        num_own = int(is_own.sum())
        share = (len(drawn) - num_own) / max(1, num_classes - num_own)
        log = torch.full_like(drawn, math.log(share or 1), dtype=torch.float64)
        return self._with(drawn=drawn, log_probability=log.masked_fill(is_own, 0))

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
            if self.log_probability is not None and isinstance(loss.pool, LogSumExp):
                stands_for = (-loss.pool.temperature * self.log_probability).to(x.dtype)
                offset = stands_for if offset is None else offset + stands_for
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
        rate = self.rate(step) if isinstance(self.rate, Schedule) else self.rate
        most = math.floor(rate * num_classes * (1 + ROUNDED))
        num_others = max(int(self.corrected), most - len(own))
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
