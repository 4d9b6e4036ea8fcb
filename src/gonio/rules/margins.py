"""Margins that differ from class to class or from sample to sample: quantities for a target rule."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from gonio.base.arrays import Rows, numbers_of_classes
from gonio.rules.facts import Change, Facts
from gonio.rules.gradient import NamesItsGradient
from gonio.rules.negative import KeepAbove
from gonio.rules.pool import Mean
from gonio.rules.quantity import Quantity
from gonio.rules.ranges import AtLeastZero, Finite, Positive, Radians
from gonio.rules.reading import Checked
from gonio.rules.state import Sizes, State, Stateful, Statistic


@dataclass(frozen=True, repr=False)
class PerClass(Quantity, Stateful):
    """A margin for each class, given by the user.

    Args:
        values: one number for each class, in their order, in the unit of the rule that it is given to.

    Raises:
        TypeError: no numbers, or a dictionary or set of them, which has no order of classes.
        ValueError: no number, one that is not finite, or another number of them than of classes.
    """

    values: tuple[float, ...]

    def __init__(self, values: Rows) -> None:
        numbers = numbers_of_classes("values", values)
        object.__setattr__(self, "values", numbers)
        wrong = [row for row, value in enumerate(numbers) if not math.isfinite(value)]
        if wrong or not numbers:
            what = f"{numbers[wrong[0]]} for class {wrong[0]}" if wrong else "nothing"
            raise ValueError(f"values: got {what}; give a finite number for each class")

    def __repr__(self) -> str:
        shown = ", ".join(f"{value:g}" for value in self.values[:3])
        return f"PerClass([{shown}{', ...' if len(self.values) > 3 else ''}])"

    def typical(self) -> float:
        """The mean over the classes."""
        return sum(self.values) / len(self.values)

    def extremes(self) -> tuple[float, float]:
        """The smallest and the largest."""
        return min(self.values), max(self.values)

    def states(self, sizes: Sizes) -> Mapping[str, State]:
        """`margins`."""
        if len(self.values) != sizes.num_classes:
            raise ValueError(
                f"margin: {len(self.values)} numbers for {sizes.num_classes} classes; give one for each"
            )
        start = torch.tensor(self.values, dtype=torch.float64)
        return {"margins": State((sizes.num_classes,), start)}

    def __call__(self, facts: Facts) -> Tensor:
        return facts.kept("margins")


@dataclass(frozen=True)
class FromCounts(Checked, Quantity, Stateful):
    """A margin for each class from its number of training samples n: rare classes get a larger one.

        margin = low + (high - low) (v - min v) / (max v - min v),   v = n^-power
        margin = high v / max v                                      where `low` is None

    Where all classes are equally frequent the first form gives (low + high) / 2.

    Args:
        power: >= 0.
        high: of the rarest class, in the unit of the rule that it is given to.
        low: of the most frequent class; None takes the second form.

    Raises:
        ValueError: numbers outside their range, or counts that are not known or below 1.

    Source: Ha et al., "Google landmark recognition 2020 competition third place solution", 2020; the
    second form is Cao et al., "Learning imbalanced datasets with label-distribution-aware margin
    loss", NeurIPS 2019.
    """

    power: AtLeastZero[float] = 0.25
    high: Finite[float] = 0.5
    low: Finite[float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        low, high = self.extremes()
        if low > high:
            raise ValueError(f"low, high: {low}, {high}; low must be at most high")

    def typical(self) -> float:
        """The middle of its range."""
        return sum(self.extremes()) / 2

    def extremes(self) -> tuple[float, float]:
        """`low`, or 0, and `high`."""
        return 0.0 if self.low is None else self.low, self.high

    def states(self, sizes: Sizes) -> Mapping[str, State]:
        """`margins`."""
        counts = sizes.known_counts("a margin from counts").double()
        if bool((counts < 1).any()):
            empty = int((counts < 1).nonzero()[0])
            raise ValueError(
                f"class_counts: {counts[empty].item():g} for class {empty}; a margin from counts "
                "needs at least one sample of each class"
            )
        rarity = counts**-self.power
        if self.low is None:
            margins = self.high * rarity / rarity.max()
        elif rarity.min() == rarity.max():
            margins = torch.full_like(rarity, self.typical())
        else:
            share = (rarity - rarity.min()) / (rarity.max() - rarity.min())
            margins = self.low + (self.high - self.low) * share
        return {"margins": State((sizes.num_classes,), margins)}

    def __call__(self, facts: Facts) -> Tensor:
        return facts.kept("margins")


@dataclass(frozen=True)
class LearnedPerClass(Checked, Quantity, Statistic):
    """A margin for each class that the optimizer learns, kept in a range by cutting it off.

    The loss alone always wants it smaller; add a `MarginReward`.

    Args:
        start: where it begins.
        low: its smallest value.
        high: its largest value.

    Raises:
        ValueError: low <= start <= high does not hold.

    Source: Liu et al., "AdaptiveFace", CVPR 2019, section 3.2.
    """

    start: Finite[float] = 0.35
    low: Finite[float] = 0.0
    high: Finite[float] = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.low <= self.start <= self.high:
            raise ValueError(f"start: {self.start} is out of range [{self.low}, {self.high}]")

    def typical(self) -> float:
        """Where it begins."""
        return self.start

    def extremes(self) -> tuple[float, float]:
        """`low` and `high`."""
        return self.low, self.high

    def states(self, sizes: Sizes) -> Mapping[str, State]:
        """`margins`."""
        return {"margins": State((sizes.num_classes,), self.start, is_learned=True)}

    def update(self, facts: Facts) -> Mapping[str, Change]:
        """Back into the range, which the last step may have left."""
        return {"margins": facts.memory.read("margins").clamp(self.low, self.high)}

    def __call__(self, facts: Facts) -> Tensor:
        return facts.kept("margins").clamp(self.low, self.high)


@dataclass(frozen=True)
class Draw(Checked, Quantity, Stateful):
    """A margin drawn anew for each sample of a training batch; outside training it is the mean.

        margin ~ normal(mean, std)

    The draws follow from the head's saved `seed` and `step` and the place of the sample in the batch
    of all ranks, so a run that goes on draws what it would have drawn.

    Args:
        mean: in the unit of the rule that it is given to.
        std: >= 0.
        order: "random"; "hardest" gives the largest margin to the sample with the smallest own
            cosine, the second largest to the next; "published" is the authors' code for that, which
            indexes by the sorting permutation instead of its inverse and so pairs at random.

    Raises:
        ValueError: a number outside its range, or an unknown order.

    Source: Boutros et al., "ElasticFace", CVPR workshops 2022, eqs. (5) to (7).
    """

    mean: Finite[float]
    std: AtLeastZero[float]
    order: Literal["random", "hardest", "published"] = "random"

    def typical(self) -> float:
        """The mean."""
        return self.mean

    @property
    def reads_step(self) -> bool:
        """The draws follow from it."""
        return True

    @property
    def sees_batch(self) -> bool:
        """They follow from the place in it."""
        return True

    def states(self, sizes: Sizes) -> Mapping[str, State]:
        """`seed`, drawn from torch's global generator."""
        return {"seed": State((), None)}

    def __call__(self, facts: Facts) -> Tensor:
        if not facts.memory.is_training:
            return torch.full_like(facts.cosine, self.mean)
        generator = torch.Generator().manual_seed(
            (int(facts.memory.read("seed")) + facts.memory.step) % 2**63
        )
        drawn = torch.randn(len(facts.cosine), generator=generator).to(facts.cosine)
        if self.order != "random":
            easiest_first = facts.cosine.detach().argsort(descending=True)
            place = easiest_first if self.order == "published" else easiest_first.argsort()
            drawn = drawn.sort().values[place]
        return self.mean + self.std * drawn


@dataclass(frozen=True)
class NormMargin(Checked, Quantity):
    """A margin that rises linearly with the norm a of the embedding, which stands for its quality.

        margin = low + (high - low) (a - norm_low) / (norm_high - norm_low),   a cut to the range

    Its gradient reaches the norm.

    Args:
        low: at `norm_low`, in the unit of the rule that it is given to.
        high: at `norm_high`.
        norm_low: > 0.
        norm_high: above `norm_low`.

    Raises:
        ValueError: a number outside its range.

    Source: Meng et al., "MagFace", CVPR 2021, section 3.2.
    """

    low: Finite[float] = 0.45
    high: Finite[float] = 0.8
    norm_low: Positive[float] = 10.0
    norm_high: Positive[float] = 110.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.norm_low >= self.norm_high:
            ends = f"{self.norm_low}, {self.norm_high}"
            raise ValueError(f"norm_low, norm_high: {ends}; norm_low must be below norm_high")
        if self.low > self.high:
            raise ValueError(f"low, high: {self.low}, {self.high}; low must be at most high")

    def typical(self) -> float:
        """The middle of its range."""
        return (self.low + self.high) / 2

    def extremes(self) -> tuple[float, float]:
        """`low` and `high`."""
        return self.low, self.high

    def __call__(self, facts: Facts) -> Tensor:
        norm = facts.norm.clamp(self.norm_low, self.norm_high)
        share = (norm - self.norm_low) / (self.norm_high - self.norm_low)
        return self.low + (self.high - self.low) * share


@dataclass(frozen=True)
class HardnessMargin(Checked, Quantity, NamesItsGradient):
    """A margin that rises with the mean cosine of the hard negatives of the sample.

        m = margin + slope mean{ c_j : c_j > cos(angle + hard_margin) },   margin where there is none

    Args:
        margin: m0 in radians, in (-pi, pi).
        slope: m1 >= 0; margin - slope and margin + slope are in (-pi, pi) too.
        hard_margin: in radians, in (-pi, pi); a negative is hard beyond the own angle plus this.
        gradient: "exact" is the derivative; "detached" takes the mean as a constant, as the authors'
            code does.

    Raises:
        ValueError: a number outside its range.

    Source: Zeng et al., "NPCFace: negative-positive collaborative training for large-scale face
    recognition", 2020, and its authors' code.
    """

    margin: Radians[float] = 0.4
    slope: AtLeastZero[float] = 0.2
    hard_margin: Radians[float] = 0.5
    gradient: Literal["exact", "detached"] = "exact"

    def __post_init__(self) -> None:
        super().__post_init__()
        if abs(self.margin) + self.slope >= math.pi:
            raise ValueError(
                f"slope: {self.slope} takes the margin {self.margin} out of (-pi, pi) radians; lower it"
            )

    def typical(self) -> float:
        """The margin where there is no hard negative."""
        return self.margin

    def extremes(self) -> tuple[float, float]:
        """From a mean cosine of -1 to one of 1."""
        return self.margin - self.slope, self.margin + self.slope

    def __call__(self, facts: Facts) -> Tensor:
        mean = facts.pool_over_columns(KeepAbove(Border(self.hard_margin)), Mean())
        return self.margin + self.slope * (mean.detach() if self.gradient == "detached" else mean)


@dataclass(frozen=True)
class Border(Checked, Quantity):
    """The own cosine with an angular margin, as a border for the negatives; taken as a constant.

    Args:
        margin: in radians, in (-pi, pi).
    """

    margin: Radians[float]

    def typical(self) -> float:
        """That of an own angle of 0."""
        return math.cos(self.margin)

    def __call__(self, facts: Facts) -> Tensor:
        return (facts.angle + self.margin).cos().detach()
