"""What the samples of a batch are: one label each, several that share it, or probabilities."""

from typing import NamedTuple

import torch
from torch import Tensor

from gonio.base.arrays import Rows, read_labels, read_weights, tensor_of
from gonio.base.checks import check_labels, describe
from gonio.base.numbers import real_number
from gonio.loss import Loss
from gonio.rules import CLASSES, LogSumExp, Softplus, WithSum
from gonio.rules.curve import Curve, Rule
from gonio.rules.facts import Facts
from gonio.rules.pool import Pool

TOLERANCE = 1e-3
"""By how much the mass of a sample may differ from 1: half precision rounds a sum of a few numbers."""


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
        """(rows k,) targets, their margins weighted by mass."""
        return target if self.mass is None else cosine + self.mass.flatten() * (target - cosine)

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


def read_targets(
    labels: Rows,
    label_mass: Rows | None,
    embeddings: Tensor,
    num_classes: int,
    ignore_index: int | None,
) -> Targets:
    """Bring labels into one form. Their range is not looked at.

    Args:
        labels: (batch,) or (batch, 1) integers; (batch, k) integers with `label_mass`; or (batch, classes) floating
            probabilities.
        label_mass: (batch, k), >= 0, rows of sum 1.
        embeddings: (batch, dim), for shape and device.
        num_classes: classes of the head.
        ignore_index: a row in which it has mass is left out, whatever its masses.

    Raises:
        TypeError: labels that are neither integers nor floating.
        ValueError: shapes that do not match, or masses that are not those of a probability.
    """
    labels = read_labels(labels, embeddings, are_several=label_mass is not None)
    if label_mass is not None:
        label_mass = tensor_of("label_mass", label_mass, embeddings.device)
    if labels.is_floating_point():
        if label_mass is not None:
            check_labels(labels, embeddings)
        shape = torch.Size((len(embeddings), num_classes))
        read_weights("labels", labels, shape, "batch and classes", embeddings.device)
        _check_sums("labels", labels)
        width = int((labels > 0).sum(dim=1).max()) if len(labels) else 1
        mass, labels = labels.topk(max(width, 1), dim=1)
        return Targets(_with_mass(labels, mass), mass)
    if labels.ndim != 2:
        if label_mass is not None:
            raise ValueError(
                f"label_mass: got {describe(label_mass)} beside labels {describe(labels)}; give "
                "labels [batch, k], k for each row"
            )
        return Targets(labels.long()[:, None])
    if labels.shape[1] == 0:
        raise ValueError(f"labels: {describe(labels)} has no label for a row; give at least one")
    check_labels(labels[:, 0], embeddings)
    if label_mass is None:
        raise ValueError(
            f"labels: {describe(labels)} has several labels for a row; say by label_mass, of the same "
            "shape, how much of each; one-hot labels are given as floating point numbers"
        )
    labels = labels.long()
    if ignore_index is not None:
        is_out = ((labels == ignore_index) & (label_mass != 0)).any(dim=1, keepdim=True)
        labels = labels.masked_fill(is_out, ignore_index)
        label_mass = label_mass.masked_fill(is_out, 1 / labels.shape[1])
    read_weights("label_mass", label_mass, labels.shape, "labels", embeddings.device)
    _check_sums("label_mass", label_mass)
    return Targets(_with_mass(labels, label_mass), label_mass)


def _with_mass(labels: Tensor, mass: Tensor) -> Tensor:
    """The labels, with the heaviest of the row in the place of each that has no mass."""
    if len(labels) == 0:
        return labels
    return labels.where(mass > 0, labels.gather(1, mass.argmax(dim=1, keepdim=True)))


@torch.compiler.disable  # type: ignore[untyped-decorator]
def _check_sums(name: str, mass: Tensor) -> None:
    total = mass.double().sum(dim=1)
    wrong = (total - 1).abs() > TOLERANCE
    if bool(wrong.any()):
        row = int(wrong.nonzero()[0])
        raise ValueError(
            f"{name}: the sum is {total[row].item():.6g} at row {row}; the numbers of a row are shares "
            "of one sample and add up to 1"
        )


def check_smoothing(smoothing: float, loss: Loss) -> float:
    """The share that is spread; refused where a loss has no meaning for it.

    Raises:
        TypeError: no number.
        ValueError: a share outside [0, 1), or a loss that is no cross-entropy over all classes.
    """
    share = real_number("label_smoothing", smoothing)
    if not 0 <= share < 1:
        raise ValueError(f"label_smoothing: {smoothing} is out of range [0, 1)")
    is_entropy = loss.pool == LogSumExp() and loss.penalty == Softplus()
    if smoothing and not (is_entropy and loss.pairing == CLASSES):
        raise ValueError(
            f"label_smoothing: got {smoothing}, but it is defined for a cross-entropy over class weights, "
            f"and this loss {_form(loss)}; leave it at 0"
        )
    if smoothing and isinstance(loss.negative, Rule) and loss.negative.leaves_out:
        raise ValueError(
            f"label_smoothing: {smoothing} would spread mass over classes that {loss.negative} leaves "
            "out; leave it at 0, or take the mode 'zero'"
        )
    return share


def check_several_labels(loss: Loss) -> None:
    """Refuse several labels for a sample where a loss has no meaning for them.

    Raises:
        ValueError: a loss that does not compare one own class with a (smooth) maximum of the others.
    """
    if not (loss.pairing == CLASSES and isinstance(loss.pool, LogSumExp)):
        raise ValueError(
            "labels: several for a sample are defined for losses over class weights that pool by a "
            f"(smooth) maximum, and this loss {_form(loss)}; give one label for each row"
        )


def _form(loss: Loss) -> str:
    if loss.pairing != CLASSES:
        return "compares the samples of a batch with each other"
    return f"pools by {loss.pool} and pays by {loss.penalty}"
