"""The one equation, of which every loss is a choice of parts.

    loss_i = penalty( pool over j != y of  s_i negative(c_ij),   s_i target(c_iy) )

c_ij is the score of class j before any rule (a cosine, or an inner product), s_i the scale. The own
class y is peeled off the matrix product: the target rule, the scale and the penalty see (batch,)
vectors and are ordinary torch. Only the pool over the negatives touches all classes; how that is
computed is a backend's business (`gonio.negatives`).
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gonio.geometry import angle_between, unit
from gonio.rules import COSINE, AsIs, LogSumExp, Score, Softplus
from gonio.rules.penalty import Penalty
from gonio.rules.pool import Pool
from gonio.rules.scale import Scale
from gonio.rules.schedule import at_step
from gonio.rules.target import Rule


class Sample(NamedTuple):
    """What a rule may know about a sample. Every field is (batch,), and (batch, 1) inside a tile."""

    scale: Tensor
    """s_i > 0."""
    norm: Tensor
    """|x_i| before normalisation."""
    cosine: Tensor
    """c_iy: the score of the own class before any rule."""
    angle: Tensor
    """The angle to the own class, in radians, in [0, pi]."""
    target: Tensor
    """t_i: the score of the own class after the target rule."""

    def column(self) -> "Sample":
        """The same facts as (batch, 1), to meet a tile of classes."""
        return Sample(*(fact[:, None] for fact in self))


@dataclass(frozen=True)
class Loss:
    """A choice of the equation's parts. It prints, compares, hashes and pickles.

    Args:
        scale: s_i, from the embedding's norm or a learned parameter, or a constant.
        target: the margin; changes the score of the own class.
        negative: the modulation; changes the score of every other class.
        pool: negatives -> one number.
        penalty: pool and target -> loss.
        score: what is normalised before the product.
    """

    scale: Scale
    target: Rule = AsIs()
    negative: Rule = AsIs()
    pool: Pool = LogSumExp()
    penalty: Penalty = Softplus()
    score: Score = COSINE

    def __post_init__(self) -> None:
        for field in fields(self):
            part = getattr(self, field.name)
            if isinstance(part, type) or not is_dataclass(part):
                raise TypeError(
                    f"{field.name}: {part!r} is no frozen dataclass; see gonio.rules for the parts"
                )
        if getattr(self.target, "is_angular", False) and not self.score.unit_embedding:
            raise ValueError(
                f"target: {self.target} changes an angle, but the score is an inner product; take "
                "the score PROJECTION with the scale FeatureNorm()"
            )

    def at(self, step: int) -> "Loss":
        """The loss at a training step: every schedule in it replaced by its number."""
        return at_step(self, step)

    def settled(self) -> "Loss":
        """The loss once all its schedules have run."""
        return self.at(10**9)

    def bind(self, num_classes: int) -> "Loss":
        """The loss for a number of classes: an automatic scale replaced by its number."""
        zero = torch.zeros(1, dtype=torch.float64, device="cpu")
        best = float(target_curve(self.settled(), zero))
        return replace(self, scale=self.scale.bind(num_classes, best))


class Classes(NamedTuple):
    """What a backend is given of the classes."""

    weight: Tensor
    """(classes, dim), not normalised."""
    bias: Tensor | None
    """(classes,), added to the inner products."""


Negatives = Callable[[Tensor, Classes, Sample, Tensor, Loss], Tensor]
"""`(x, classes, sample, labels, loss) -> (batch,)`: the pool of every sample's negatives.

What a backend is: differentiable in x (batch, dim), in both fields of `classes` and in every field of
`sample`. x is already normalised where the loss says so.
"""


def margin_loss(
    embeddings: Tensor,
    classes: Classes,
    labels: Tensor,
    loss: Loss,
    negatives: Negatives,
    raw_scale: Tensor | None = None,
) -> Tensor:
    """The equation, sample by sample.

    Args:
        embeddings: (batch, dim), in the dtype to compute in, float32 or float64.
        classes: weight (classes, dim) and bias.
        labels: (batch,), int64 in [0, classes).
        loss: without schedules (`Loss.at`) and bound to the number of classes (`Loss.bind`).
        negatives: the backend.
        raw_scale: the parameter () of a learned scale.

    Returns:
        (batch,) losses in nats, >= 0 for every penalty of gonio.
    """
    is_ours = getattr(negatives, "hands_over_gradient", False)
    own_weight, weight = _Peel.apply(classes.weight, labels, is_ours)  # type: ignore[no-untyped-call]
    own_weight = own_weight.to(embeddings.dtype)
    x, norm = unit(embeddings)
    w, w_norm = unit(own_weight)
    score = loss.score
    cosine = (x * w if score.unit_embedding else embeddings * own_weight).sum(dim=1)
    if classes.bias is not None:
        cosine = cosine + classes.bias[labels]
    scale = loss.scale(norm, raw_scale)
    sample = Sample(scale, norm, cosine, angle_between(x, w), cosine)
    target = loss.target(cosine, sample)
    if score.unit_embedding and not score.unit_weight:
        target = target * w_norm
    sample = sample._replace(target=target)
    x = x if score.unit_embedding else embeddings
    pool = negatives(x, Classes(weight, classes.bias), sample, labels, loss)
    return loss.penalty(pool, scale * target)


def target_curve(loss: Loss, angle: Tensor) -> Tensor:
    """(n,) angles in radians -> (n,) targets: the curve that the margin makes of the cosine."""
    cosine, one = angle.cos(), torch.ones_like(angle)
    return loss.target(cosine, Sample(one, one, cosine, angle, cosine))


class _Peel(torch.autograd.Function):
    """(classes, dim), (batch,) -> the rows of the own classes, and the weight itself.

    The weight goes on to the negatives through this node, so that backward receives their dense
    gradient and adds the own classes' rows to it: into the same buffer, if the backend says by
    `hands_over_gradient` that nobody else holds it. Indexing alone would make autograd fill a second
    (classes, dim) buffer.
    """

    @staticmethod
    def forward(ctx: Any, weight: Tensor, labels: Tensor, is_ours: bool) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(labels)
        ctx.is_ours = is_ours
        return weight[labels], weight.view_as(weight)

    @staticmethod
    def backward(ctx: Any, rows: Tensor, dense: Tensor) -> tuple[Tensor, None, None]:
        add = dense.index_add_ if ctx.is_ours and not torch.is_grad_enabled() else dense.index_add
        return add(0, ctx.saved_tensors[0], rows), None, None
