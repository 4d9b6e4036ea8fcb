"""Terms: what is added to the loss of a sample beside the equation.

loss = gonio.losses.arcface() + gonio.rules.Ring(weight=0.01)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from gonio.rules.curve import AsIs, Curve
from gonio.rules.facts import AtLabels, Change, Facts
from gonio.rules.pool import LogSumExp, Pool
from gonio.rules.ranges import AtLeastZero, Positive, Share
from gonio.rules.reading import Checked
from gonio.rules.state import Sizes, State, Stateful, Statistic


class Term(Protocol):
    """A frozen dataclass: a batch -> (rows,) numbers to add to the losses."""

    def __call__(self, facts: Facts) -> Tensor: ...


@dataclass(frozen=True)
class Ring(Checked, Stateful):
    """Pull the norms a of the embeddings to a common, learned radius R.

        weight / 2 (a - R)^2

    Args:
        weight: >= 0.
        radius: the first value of R, > 0.

    Raises:
        ValueError: a number outside its range.

    Source: Zheng et al., "Ring loss", CVPR 2018, eq. (2).
    """

    weight: AtLeastZero[float] = 0.01
    radius: Positive[float] = 20.0

    def states(self, sizes: Sizes) -> Mapping[str, State]:
        """`radius`."""
        return {"radius": State((), self.radius, is_learned=True)}

    def __call__(self, facts: Facts) -> Tensor:
        return self.weight / 2 * (facts.norm - facts.memory.read("radius")) ** 2


@dataclass(frozen=True)
class Center(Checked, Statistic):
    """Pull the embeddings themselves, not their angles, to the running centre of their class.

        weight / 2 |x - c_y|^2
        c_j <- c_j - rate sum_{i: y_i = j} (c_j - x_i) / (1 + n_j)      after each training batch

    Args:
        weight: lambda >= 0.
        rate: alpha in [0, 1].

    Raises:
        ValueError: a number outside its range.

    Source: Wen et al., "A discriminative feature learning approach for deep face recognition",
    ECCV 2016, eqs. (2) to (5).
    """

    weight: AtLeastZero[float] = 0.003
    rate: Share[float] = 0.5

    @property
    def is_current(self) -> bool:
        """The centres move after the batch."""
        return False

    def states(self, sizes: Sizes) -> Mapping[str, State]:
        """`class_means`, which begin at 0."""
        return {"class_means": State((sizes.num_classes, sizes.embedding_dim), 0.0)}

    def update(self, facts: Facts) -> Mapping[str, Change]:
        """Move the centres of the batch's classes towards it."""
        labels, means = facts.labels, facts.kept("class_means")
        x = facts.embeddings.to(means.dtype)
        count = (labels[:, None] == labels).sum(dim=1)
        step = self.rate * (x - means) / (1 + count)[:, None]
        return {"class_means": AtLabels(labels, step)}

    def __call__(self, facts: Facts) -> Tensor:
        away = facts.embeddings - facts.kept("class_means")
        return self.weight / 2 * (away * away).sum(dim=1)


@dataclass(frozen=True)
class NormReward(Checked):
    """Reward large norms a, less and less: the regulariser beside a `NormMargin`.

        weight (a / high^2 + 1 / a),   a cut to [low, high]

    Args:
        weight: lambda_g >= 0.
        low: l_a > 0.
        high: u_a, above `low`.

    Raises:
        ValueError: a number outside its range.

    Source: Meng et al., "MagFace", CVPR 2021, section 3.2.
    """

    weight: AtLeastZero[float] = 35.0
    low: Positive[float] = 10.0
    high: Positive[float] = 110.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low >= self.high:
            raise ValueError(f"low, high: {self.low}, {self.high}; low must be below high")

    def __call__(self, facts: Facts) -> Tensor:
        norm = facts.norm.clamp(self.low, self.high)
        return self.weight * (norm / self.high**2 + 1 / norm)


@dataclass(frozen=True)
class MarginReward(Checked):
    """Reward large learned margins of the classes: weight (1 - mean_c margin_c).

    Args:
        weight: lambda >= 0.

    Raises:
        ValueError: a negative weight, or a loss without learned margins.

    Source: Liu et al., "AdaptiveFace", CVPR 2019.
    """

    weight: AtLeastZero[float] = 70.0

    def __call__(self, facts: Facts) -> Tensor:
        if "margins" not in facts.memory.kept:
            raise ValueError(
                f"terms: {self} rewards the margins of a LearnedPerClass; there is none"
            )
        missing = 1 - facts.memory.mean("margins")
        return self.weight * missing.to(facts.cosine.dtype).expand_as(facts.cosine)


@dataclass(frozen=True)
class BetweenClasses(Checked):
    """Keep the weights of the classes of a batch away from those of all others.

        weight pool_{j != y} rule(cos(w_y, w_j));   0 for a single class

    Args:
        weight: >= 0.
        rule: of a cosine between two class weights.
        pool: of all other classes.

    Raises:
        ValueError: a negative weight.
    """

    weight: AtLeastZero[float]
    rule: Curve = AsIs()
    pool: Pool = LogSumExp(0.0)

    def __call__(self, facts: Facts) -> Tensor:
        pooled = facts.pool_over_columns(self.rule, self.pool, x=facts.own)
        return self.weight * pooled.masked_fill(pooled == -torch.inf, 0)


@dataclass(frozen=True)
class CenterSpread(Checked):
    """Draw the centres of the own class together, so that it keeps no more of them than it needs.

        weight sum_{s < t} |w_ys - w_yt| / (K (K - 1))   for K centres of the own class

    Args:
        weight: tau >= 0.

    Raises:
        ValueError: a negative weight.

    Source: Qian et al., "SoftTriple loss", ICCV 2019, eq. (9); there over all classes at once, here
    over those of the batch.
    """

    weight: AtLeastZero[float] = 0.2

    def __call__(self, facts: Facts) -> Tensor:
        centers = facts.centers.shape[1]
        first, second = torch.triu_indices(centers, centers, offset=1)
        apart = facts.centers[:, first] - facts.centers[:, second]
        distances: Tensor = torch.linalg.vector_norm(apart, dim=2).sum(dim=1)
        return distances * (self.weight / max(centers * (centers - 1), 1))
