"""A part of the classes as negatives: how many, and which."""

import math
from dataclasses import dataclass, field
from typing import Annotated

import torch
from torch import Tensor

from gonio.engines.chunked import Chunked
from gonio.rules.ranges import AtLeastZero, Range
from gonio.rules.reading import Checked
from gonio.rules.schedule import Schedule


@dataclass(frozen=True)
class Sampled(Checked):
    """In training, the classes of the batch and some others; else all classes.

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

    rate: Annotated[float | Schedule, Range(0, 1, "(]")]
    backend: Chunked = field(default_factory=Chunked)
    seed: AtLeastZero[int] = 0
    corrected: bool = False

    def probabilities(self, drawn: Tensor, labels: Tensor, num_classes: int) -> Tensor | None:
        """(n,) logarithms of the probability that each drawn class is drawn; None for no correction."""
        if not self.corrected:
            return None
        is_own = torch.isin(drawn, labels)
        num_own = int(is_own.sum())
        share = (len(drawn) - num_own) / max(1, num_classes - num_own)
        log = torch.full_like(drawn, math.log(share or 1), dtype=torch.float64)
        return log.masked_fill(is_own, 0)

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
