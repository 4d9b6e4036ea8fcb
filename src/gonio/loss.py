"""A loss: a choice of the parts of the one equation.

    loss_i = penalty( pool over j != y of  z_ij,   z_iy ),      z_ij = s_i negative(c_ij) + offset_j
                                                                z_iy = s_i target(c_iy) + offset_y

c_ij is the score of class j before any rule (a cosine, or an inner product), s_i the scale. The own
class y is peeled off the matrix product: the target rule, the scale and the penalty see (batch,)
vectors and are ordinary torch (`gonio.equation`). Only the pool over the negatives touches all classes;
how that is computed is an engine's business (`gonio.engines`).
"""

from dataclasses import dataclass, fields, is_dataclass, replace

import torch
from torch import Tensor

from gonio.rules import (
    CLASSES,
    COSINE,
    AsIs,
    Detached,
    Everything,
    Fixed,
    Hardest,
    LogSumExp,
    NoOffset,
    Quantity,
    Score,
    Softplus,
    Threshold,
)
from gonio.rules.curve import Curve, is_angular
from gonio.rules.facts import Sample
from gonio.rules.gradient import NamesItsGradient
from gonio.rules.mining import Mining
from gonio.rules.number import FOR_EVER, at_step, resolved, typical
from gonio.rules.offset import Offset
from gonio.rules.pairing import Pairing
from gonio.rules.penalty import Penalty
from gonio.rules.pool import Pool
from gonio.rules.scale import Scale
from gonio.rules.state import Statistic, parts
from gonio.rules.terms import Term


@dataclass(frozen=True)
class Loss:
    """A choice of the equation's parts. It prints, compares, hashes and pickles.

    Args:
        scale: s_i, from the embedding's norm or a learned parameter, or a constant.
        target: the margin; changes the score of the own class.
        negative: the modulation; changes the score of every other class.
        pool: negatives -> one number.
        penalty: pool and target -> loss.
        score: what is normalised before the product, and how many centres a class has.
        offset: what is added to each class after the scale.
        pairing: what an embedding is compared with.
        mining: which samples of a batch count.
        terms: what is added beside the equation; `loss + term` appends one.
    """

    scale: Scale
    target: Curve = AsIs()
    negative: Curve = AsIs()
    pool: Pool = LogSumExp()
    penalty: Penalty = Softplus()
    score: Score = COSINE
    offset: Offset = NoOffset()
    pairing: Pairing = CLASSES
    mining: Mining = Everything()
    terms: tuple[Term, ...] = ()

    def __post_init__(self) -> None:
        for field in fields(self):
            part = getattr(self, field.name)
            for one in part if isinstance(part, tuple) else (part,):
                if isinstance(one, type | Loss) or not is_dataclass(one):
                    raise TypeError(
                        f"{field.name}: {one!r} is no part of a loss (a frozen dataclass); "
                        "gonio.rules has them"
                    )
        if is_angular(self.target) and not self.score.unit_embedding:
            raise ValueError(
                f"target: {self.target} changes an angle, but the score is an inner product; take "
                "the score PROJECTION with the scale FeatureNorm()"
            )

        is_cosine = self.score.unit_embedding and self.score.unit_weight
        if is_angular(self.negative) and not is_cosine:
            raise ValueError(
                f"negative: {self.negative} changes an angle, but the score is no cosine; take the score "
                "COSINE"
            )
        if self.pairing.against != "classes":
            self._check_without_classes()

    def _check_without_classes(self) -> None:
        """Refuse what asks for one own class of each sample."""
        for part in parts(self):
            if isinstance(part, Quantity | Statistic):
                raise ValueError(
                    f"{part}: it belongs to losses over class weights, and this one compares "
                    f"{self.pairing}; give a number"
                )
        if self.terms:
            raise ValueError(
                f"terms: {self.terms[0]} belongs to losses over class weights, and this one compares "
                f"{self.pairing}; add its own loss beside this one"
            )
        if self.mining != Everything():
            raise ValueError(f"mining: {self.mining} is defined for losses over class weights")
        if self.score.centers > 1:
            raise ValueError("score: several centres are defined for losses over class weights")
        is_batch = self.pairing.against == "batch"
        if not isinstance(self.offset, NoOffset | Threshold if is_batch else NoOffset):
            raise ValueError(f"offset: {self.offset} is defined for losses over class weights")
        if not is_batch and self.score != COSINE:
            raise ValueError(f"score: {self.score} is not defined for anchors; take COSINE")
        if is_batch and self.pairing.positives == "rivals" and not isinstance(self.pool, LogSumExp):
            raise ValueError(
                f"pool: {self.pool} has no place for other positives; take the pairing's positives 'alone'"
            )

    def __add__(self, term: Term) -> "Loss":
        return replace(self, terms=(*self.terms, term))

    @property
    def is_detached(self) -> bool:
        """Whether, by the name of one of its parts, the gradient is not the derivative."""
        return any(
            isinstance(part, Detached)
            or (isinstance(part, NamesItsGradient) and part.gradient == "detached")
            for part in parts(self)
        )

    @property
    def is_batchwise(self) -> bool:
        """Whether the samples of a batch meet, so that none has a loss of its own."""
        return self.pairing != CLASSES or isinstance(self.mining, Hardest)

    @property
    def bound(self) -> float | None:
        """The scores of negatives, without an offset, lie in [-bound, bound]; None where nobody knows."""
        is_cosine = self.score.unit_embedding and self.score.unit_weight
        if not (is_cosine and isinstance(self.negative, AsIs) and isinstance(self.scale, Fixed)):
            return None
        return float(resolved(self.scale.value))

    @property
    def statistics(self) -> tuple[Statistic, ...]:
        """Its parts that change what they keep with each training batch."""
        return self._looked_up()[0]

    @property
    def has_quantities(self) -> bool:
        """Whether a rule has a setting that differs by sample."""
        return self._looked_up()[1]

    def _looked_up(self) -> tuple[tuple[Statistic, ...], bool]:
        """What every batch asks, found once."""
        if "_found" not in self.__dict__:
            statistics = tuple(part for part in parts(self) if isinstance(part, Statistic))
            rules = (self.target, self.negative)
            has = any(isinstance(part, Quantity) for rule in rules for part in parts(rule))
            object.__setattr__(self, "_found", (statistics, has))
        found: tuple[tuple[Statistic, ...], bool] = self.__dict__["_found"]
        return found

    def weight_shape(self, num_classes: int, embedding_dim: int) -> tuple[int, ...] | None:
        """Of the class weights; None where there are none."""
        if self.pairing.against == "batch":
            return None
        return self.score.weight_shape(num_classes, embedding_dim)

    def at(self, step: int) -> "Loss":
        """The loss at a training step: every schedule in it replaced by its number."""
        return at_step(self, step)

    def settled(self) -> "Loss":
        """The loss once all its schedules have run."""
        return self.at(FOR_EVER)

    def typical(self) -> "Loss":
        """The settled loss of a typical sample: every quantity replaced by one number."""
        return typical(self)

    def bind(self, num_classes: int) -> "Loss":
        """The loss for a number of classes: an automatic scale replaced by its number."""
        zero = torch.zeros(1, dtype=torch.float64, device="cpu")
        best = float(target_curve(self, zero))
        return replace(self, scale=self.scale.bind(num_classes, best))


def target_curve(loss: Loss, angle: Tensor) -> Tensor:
    """(n,) angles in radians -> (n,) targets: the curve that the margin makes of the cosine."""
    cosine, one = angle.cos(), torch.ones_like(angle)
    return loss.typical().target(cosine, Sample(one, one, cosine, angle, cosine))
