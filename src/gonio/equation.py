"""The one equation, of which every loss is a choice of parts.

    loss_i = penalty( pool over j != y of  z_ij,   z_iy ),      z_ij = s_i negative(c_ij) + offset_j
                                                                z_iy = s_i target(c_iy) + offset_y

c_ij is the score of class j before any rule (a cosine, or an inner product), s_i the scale. The own
class y is peeled off the matrix product: the target rule, the scale and the penalty see (batch,)
vectors and are ordinary torch (`gonio.margin_loss`). Only the pool over the negatives touches all classes;
how that is computed is a backend's business (`gonio.engines`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from gonio.rules import (
    CLASSES,
    COSINE,
    AsIs,
    Detached,
    Everything,
    Hardest,
    LogSumExp,
    NoOffset,
    Quantity,
    Score,
    Softplus,
    Threshold,
)
from gonio.rules.curve import Rule
from gonio.rules.mining import Mining
from gonio.rules.number import at_step, replaced
from gonio.rules.offset import Offset
from gonio.rules.pairing import Pairing
from gonio.rules.penalty import Penalty
from gonio.rules.pool import Pool
from gonio.rules.scale import Scale
from gonio.rules.state import parts
from gonio.rules.terms import Term


class Sample(NamedTuple):
    """What a rule may know about a sample. Every field is (batch,), and (batch, 1) inside a tile."""

    scale: Tensor
    """s_i > 0."""
    norm: Tensor
    """|x_i| before normalisation."""
    cosine: Tensor
    """c_iy: the score of the own class before any rule; the cosine where x is normalised."""
    angle: Tensor
    """The angle to the own class, in radians, in [0, pi]."""
    target: Tensor
    """t_i: the score of the own class after the target rule."""

    def column(self) -> "Sample":
        """The same facts as (batch, 1), to meet a tile of classes."""
        return Sample(*(fact[:, None] for fact in self))


class Sweep(Protocol):
    """`(rule, pool) -> (rows,)`: a pool over all negatives of each row, beside the loss's own.

    x, if given, are (rows, dim) directions to stand in the place of the embeddings.
    """

    def __call__(
        self, rule: Rule, pool: Pool, *, scale: float = 1.0, x: Tensor | None = None
    ) -> Tensor: ...


class Batch(NamedTuple):
    """What a quantity, a statistic or a term may know. A row is a sample with one of its labels."""

    labels: Tensor
    """(rows,) int64."""
    embeddings: Tensor
    """(rows, dim), not normalised."""
    x: Tensor
    """(rows, dim): their directions."""
    own: Tensor
    """(rows, dim): direction of the own class's weight, of its nearest centre if it has several."""
    centers: Tensor
    """(rows, centers, dim): directions of all of its centres."""
    norm: Tensor
    """(rows,): |x|."""
    cosine: Tensor
    """(rows,): the own score before any rule; the cosine where x is normalised."""
    angle: Tensor
    """(rows,): the own angle in radians."""
    state: Mapping[str, Tensor]
    """What the head keeps, by name."""
    step: int
    """Training batches seen before this one."""
    is_training: bool
    sweep: Sweep


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
    target: Rule = AsIs()
    negative: Rule = AsIs()
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
        if getattr(self.target, "is_angular", False) and not self.score.unit_embedding:
            raise ValueError(
                f"target: {self.target} changes an angle, but the score is an inner product; take "
                "the score PROJECTION with the scale FeatureNorm()"
            )

        is_cosine = self.score.unit_embedding and self.score.unit_weight
        if getattr(self.negative, "is_angular", False) and not is_cosine:
            raise ValueError(
                f"negative: {self.negative} changes an angle, but the score is no cosine; take the score "
                "COSINE"
            )
        if self.pairing.against != "classes":
            self._check_without_classes()

    def _check_without_classes(self) -> None:
        """Refuse what asks for one own class of each sample."""
        for part in parts(self):
            if isinstance(part, Quantity) or hasattr(part, "update"):
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
            isinstance(part, Detached) or getattr(part, "gradient", "exact") == "detached"
            for part in parts(self)
        )

    @property
    def is_batchwise(self) -> bool:
        """Whether the samples of a batch meet, so that none has a loss of its own."""
        return self.pairing != CLASSES or isinstance(self.mining, Hardest)

    def at(self, step: int) -> "Loss":
        """The loss at a training step: every schedule in it replaced by its number."""
        return at_step(self, step)

    def settled(self) -> "Loss":
        """The loss once all its schedules have run."""
        return self.at(10**9)

    def typical(self) -> "Loss":
        """The settled loss of a typical sample: every quantity replaced by one number."""
        return replaced(self.settled(), Quantity, lambda quantity: quantity.typical())

    def bind(self, num_classes: int) -> "Loss":
        """The loss for a number of classes: an automatic scale replaced by its number."""
        zero = torch.zeros(1, dtype=torch.float64, device="cpu")
        best = float(target_curve(self, zero))
        return replace(self, scale=self.scale.bind(num_classes, best))


class Classes(NamedTuple):
    """What a backend is given of the classes."""

    weight: Tensor
    """(classes, dim) or (classes, centers, dim), not normalised."""
    offset: Tensor | None = None
    """(classes,), added to the scores."""
    labels: Tensor | None = None
    """(classes,) int64: whose each column is; None where class j is column j."""


Negatives = Callable[[Tensor, Classes, Sample, Tensor, Loss], Tensor]
"""`(x, classes, sample, labels, loss) -> (batch,)`: the pool of every sample's negatives.

What a backend is: differentiable in x (batch, dim), in the weight and the offset of `classes`, and in
every field of `sample`. x is already normalised where the loss says so. `labels` is (batch,) or
(batch, k); columns with any of these labels are no negatives of the sample.
"""


class Update(Protocol):
    """Takes the gradient of the class weights piece by piece, so that the whole never exists."""

    def take(self, rows: slice | Tensor, gradient: Tensor) -> None:
        """Rows of the flattened weight, as a range or as ascending indices, and their gradient.

        It is what the negatives add, (rows, dim). Rows that are never taken have none.
        """

    def finish(self, classes: Tensor, gradient: Tensor | None) -> None:
        """(n,) own classes of a batch, after all else, and what they add, (n, ...) as in the weight."""


def target_curve(loss: Loss, angle: Tensor) -> Tensor:
    """(n,) angles in radians -> (n,) targets: the curve that the margin makes of the cosine."""
    cosine, one = angle.cos(), torch.ones_like(angle)
    return loss.typical().target(cosine, Sample(one, one, cosine, angle, cosine))
