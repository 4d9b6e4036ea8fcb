"""What the samples of a batch are: one label each, several that share it, or probabilities."""

from typing import NamedTuple

import torch
from torch import Tensor

from gonio.loss import Loss
from gonio.rules import LogSumExp, WithSum
from gonio.rules.curve import Curve
from gonio.rules.facts import Facts
from gonio.rules.pool import Pool


class Targets(NamedTuple):
    """The labels of a batch, and what each pays for them."""

    labels: Tensor
    """(rows, k) int64: columns; -1 is none."""
    mass: Tensor | None = None
    """(rows, k), >= 0, rows of sum 1 (or 0, which costs nothing): how much of each; None where k = 1."""
    smoothing: float = 0.0
    """Share of the mass, in [0, 1), that is spread evenly over all columns."""
    class_weight: Tensor | None = None
    """(columns,): what is paid for a label is multiplied by its weight."""
    classes: Tensor | None = None
    """(rows,) of which class each is, where labels are places in the batch."""

    @property
    def names(self) -> Tensor:
        """(rows, k) classes that are no negatives of a row; -1 is none."""
        return self.labels if self.classes is None else self.classes[:, None]

    @property
    def places(self) -> Tensor:
        """(rows, k) columns, with any in the place of none."""
        return self.labels if self.mass is None else self.labels.clamp(min=0)

    def of(self, rows: Tensor) -> "Targets":
        """Those of some rows."""
        mass = None if self.mass is None else self.mass[rows]
        return self._replace(labels=self.labels[rows], mass=mass)

    def to(self, dtype: torch.dtype) -> "Targets":
        """With masses and weights of a dtype."""
        mass = None if self.mass is None else self.mass.to(dtype)
        weight = None if self.class_weight is None else self.class_weight.to(dtype)
        return self._replace(mass=mass, class_weight=weight)

    def merged(self) -> "Targets":
        """Each label of a row once, with all of its mass; -1 for a label without mass."""
        if self.mass is None or self.classes is not None:
            return self
        labels, order = self.labels.sort(dim=1, stable=True)
        is_new = labels[:, 1:] != labels[:, :-1]
        place = torch.nn.functional.pad(is_new.long().cumsum(dim=1), (1, 0))
        mass = torch.zeros_like(self.mass).scatter_add(1, place, self.mass.gather(1, order))
        labels = torch.full_like(labels, -1).scatter(1, place, labels)
        return self._replace(labels=labels.masked_fill(mass <= 0, -1), mass=mass.clamp(min=0))

    def plain(self) -> "Targets":
        """Where every class counts the same, and nothing is spread."""
        return self._replace(class_weight=None, smoothing=0.0)

    def weights(self) -> Tensor | None:
        """(rows,): the weight of a row's labels, by their mass; None where every class counts the same."""
        if self.class_weight is None:
            return None
        weight = self.class_weight[self.places]
        return weight[:, 0] if self.mass is None else (weight * self.mass).sum(dim=1)

    def each(self, of_row: Tensor) -> Tensor:
        """(rows, ...) -> (rows k, ...): the same for every label."""
        return (
            of_row if self.mass is None else of_row.repeat_interleave(self.labels.shape[1], dim=0)
        )

    def mean(self, of_label: Tensor) -> Tensor:
        """(rows k,) -> (rows,): the mean over the labels of a row, weighted by mass."""
        return self._sum(of_label, self.mass)

    def weighed(self, of_label: Tensor) -> Tensor:
        """(rows k,) -> (rows,): likewise, each label times the weight of its class."""
        if self.class_weight is None:
            return self.mean(of_label)
        weight = self.class_weight[self.places]
        return self._sum(of_label, weight if self.mass is None else weight * self.mass)

    def _sum(self, of_label: Tensor, factor: Tensor | None) -> Tensor:
        if factor is None:
            return of_label
        by_label = of_label.view(self.labels.shape).masked_fill(factor == 0, 0)  # 0 inf is not 0
        return (by_label * factor).sum(dim=1)

    def toward(self, cosine: Tensor, target: Tensor) -> Tensor:
        """(rows k,) targets, their margins weighted by mass; a pair of samples has all of its margin."""
        if self.mass is None or self.classes is not None:
            return target
        return cosine + self.mass.flatten() * (target - cosine)

    def by_sample(self, facts: Facts) -> Facts:
        """One row for each sample: that of its heaviest label, with the mean cosine and angle."""
        mass = self.mass
        if mass is None:
            return facts
        first = self.labels.shape[1] * torch.arange(len(mass), device=mass.device)
        heaviest = mass.argmax(dim=1) + first

        def pool(rule: Curve, pool: Pool, *, scale: float = 1.0, x: Tensor | None = None) -> Tensor:
            return self.mean(facts.pool_over_columns(rule, pool, scale=scale, x=x))

        def chosen(fact: Tensor) -> Tensor:
            return fact[heaviest]

        names = ("embeddings", "x", "own", "centers", "norm")
        means = {"cosine": self.mean, "angle": self.mean}
        return facts.map(facts.labels[heaviest], pool, **dict.fromkeys(names, chosen), **means)

    def pool(self, pool: Pool) -> Pool:
        """What is asked of the columns: smoothing needs the sum of all scores too."""
        return WithSum(pool) if self.smoothing and self.class_weight is None else pool

    def parted(self, pool: Tensor) -> tuple[Tensor, Tensor]:
        """What was asked -> (rows,) the pool, and the sum of all scores where it was asked for."""
        return (pool[:, 0], pool[:, 1]) if pool.ndim == 2 else (pool, pool)

    def pay(self, pool: Tensor, score: Tensor, loss: Loss) -> Tensor:
        """(rows,) negatives, (rows k,) scores of the labels -> (rows,): what every label costs.

        By its mass and the weight of its class.
        """
        if self.mass is None:
            return self.weighed(loss.penalty(pool, score))
        score = self._by_label(score)
        against = pool[:, None].expand_as(score)
        if loss.pairing.positives == "rivals":
            against = loss.pool.beside_each(pool, score)
        is_none = score == -torch.inf
        cost = loss.penalty(against, score.masked_fill(is_none, 0)).masked_fill(is_none, 0)
        return self.weighed(cost.flatten())

    def smoothed(self, paid: Tensor, pool: Tensor, score: Tensor, rest: Tensor, num: int) -> Tensor:
        """(rows,) what labels cost -> with a share of the mass spread over all `num` columns.

        `rest` is the sum of all negatives, each times the weight of its class.
        """
        own, smooth_maximum = self._by_label(score), LogSumExp()
        everything = smooth_maximum.value(
            smooth_maximum.fold(torch.cat([pool[:, None], own], dim=1))
        )
        own = own.masked_fill(self.labels < 0, 0)
        total: float | Tensor = num
        if self.class_weight is not None:
            own, total = own * self.class_weight[self.places], self.class_weight.sum()
        spread = (total * everything - own.sum(dim=1) - rest) / num
        return (1 - self.smoothing) * paid + self.smoothing * spread

    def _by_label(self, score: Tensor) -> Tensor:
        """(rows k,) -> (rows, k), -inf where there is no label."""
        score = score.view(self.labels.shape)
        return score if self.mass is None else score.masked_fill(self.labels < 0, -torch.inf)
