"""The head: class weights, and any loss of the table over them, as one torch module."""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from gonio import losses, negatives
from gonio.checks import (
    check_batch,
    check_embeddings,
    check_loss,
    check_sample_weight,
    check_values,
)
from gonio.equation import Classes, Loss, Negatives, Sample, margin_loss
from gonio.geometry import angle_between, unit
from gonio.negatives.tile import products
from gonio.rules import Fixed, LogSumExp
from gonio.rules.schedule import is_scheduled
from gonio.watch import WeightWatch

Reduction = Literal["mean", "sum", "none"]


class Head(nn.Module):
    """Class weights and a softmax-based loss with a margin.

    Put `head.parameters()` into the optimizer beside the backbone's. Computation is in float32 (or
    float64, if embeddings or weight are), also under autocast and for half-precision embeddings, whose
    gradient comes back in their own dtype. The weight's dtype never changes.

    Args:
        embedding_dim: dimension of the embeddings, >= 1.
        num_classes: number of classes, >= 1.
        loss: a name from `gonio.losses.names()`, or a loss such as `gonio.losses.arcface(margin=0.5)`.
        backend: "auto", "reference", "chunked", or a backend such as `gonio.negatives.Chunked(512)`.
        ignore_index: rows with this label add nothing to the loss and to any gradient.
        device: where the parameters are made.
        dtype: of the parameters; float32 where none is given.

    Attributes:
        weight: (classes, dim) parameter.
        bias: (classes,) parameter, or None where the loss has none.
        raw_scale: () parameter of a learned scale, or None.
        step: () int64 buffer: training batches seen, which is what schedules run on. Each forward
            pass with gradients counts, so keep a scheduled head out of activation checkpointing.

    Raises:
        TypeError: a loss or backend that is none.
        ValueError: a size below 1, or an unknown name.

    Example:
        >>> head = Head(embedding_dim=8, num_classes=5, loss="arcface")
        >>> head(torch.randn(4, 8), torch.tensor([0, 1, 2, 4])).shape
        torch.Size([])
        >>> head.logits(torch.randn(4, 8)).shape
        torch.Size([4, 5])
    """

    step: Tensor

    def __init__(
        self,
        embedding_dim: int,
        num_classes: int,
        loss: str | Loss = "arcface",
        *,
        backend: str | Negatives = "auto",
        ignore_index: int | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        for name, size in (("embedding_dim", embedding_dim), ("num_classes", num_classes)):
            if size < 1:
                raise ValueError(f"{name}: {size} is below 1")
        negatives.choose(backend, 0, 0)
        self.embedding_dim, self.num_classes = embedding_dim, num_classes
        if isinstance(loss, str):
            loss = losses.get(loss).loss()
        if not isinstance(loss, Loss):
            raise TypeError(
                f"loss: {loss!r} is neither a name nor a Loss; call a row, as in losses.arcface()"
            )
        self.loss = loss.bind(num_classes)
        self.backend, self.ignore_index = backend, ignore_index
        self._is_scheduled = is_scheduled(self.loss)
        self._watch = WeightWatch(f"Head(embedding_dim={embedding_dim}, num_classes={num_classes})")
        new: Any = {"device": device, "dtype": dtype}
        self.weight = nn.Parameter(torch.empty(num_classes, embedding_dim, **new))
        has_bias, start = self.loss.score.bias, self.loss.scale.start()
        self.bias = nn.Parameter(torch.empty(num_classes, **new)) if has_bias else None
        self.raw_scale = None if start is None else nn.Parameter(torch.empty((), **new))
        self.register_buffer("step", torch.zeros((), dtype=torch.int64, device=device))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Begin anew: step 0, and weight rows of norm about 1 from torch's global generator."""
        self.step.zero_()
        nn.init.normal_(self.weight, std=self.embedding_dim**-0.5)
        if self.bias is not None:
            nn.init.zeros_(self.bias)
        start = self.loss.scale.start()
        if self.raw_scale is not None and start is not None:
            nn.init.constant_(self.raw_scale, start)

    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor,
        *,
        sample_weight: Tensor | None = None,
        reduction: Reduction = "mean",
    ) -> Tensor:
        """The loss of a batch.

        Args:
            embeddings: (batch, dim), floating, not normalised; an empty batch costs 0.
            labels: (batch,), integers in [0, classes), or `ignore_index`.
            sample_weight: (batch,), finite, >= 0.
            reduction: "mean" is the weighted mean over the rows that are not ignored, "sum" the
                weighted sum, "none" gives (batch,) with 0 for ignored rows.

        Returns:
            () or (batch,) in float32 (float64 if that is what came in).

        Raises:
            TypeError: labels that are not integers, embeddings that are not floating.
            ValueError: shapes that do not match, a label out of range, a value that is not finite,
                an unknown reduction.
        """
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"reduction: {reduction!r} is unknown; choose mean, sum or none")
        batch_labels = labels
        embeddings, labels, rows = self._counted(embeddings, labels)
        if sample_weight is not None:
            check_sample_weight(sample_weight, batch_labels)
        is_training = self.training and torch.is_grad_enabled()
        if is_training:
            self._watch.look(self.weight, labels)
        with torch.autocast(embeddings.device.type, enabled=False):
            per_sample = margin_loss(
                self._computed(embeddings),
                Classes(self.weight, self.bias),
                labels,
                self.current_loss,
                negatives.choose(self.backend, len(labels), self.num_classes),
                self.raw_scale,
            )
        check_loss(per_sample, rows, self.named_parameters())
        if is_training:
            self.step += 1
        if sample_weight is not None:
            sample_weight = sample_weight.to(per_sample)
            sample_weight = sample_weight if rows is None else sample_weight[rows]
        return _reduce(per_sample, sample_weight, reduction, rows, len(batch_labels))

    def logits(self, embeddings: Tensor) -> Tensor:
        """(batch, dim) -> (batch, classes): scale x cosine (or the loss's own score), never a margin.

        Raises:
            TypeError: embeddings that are not floating.
            ValueError: a shape that does not match.
        """
        check_embeddings(embeddings, self.weight)
        loss = self.current_loss
        with torch.autocast(embeddings.device.type, enabled=False):
            embeddings = self._computed(embeddings)
            x, norm = unit(embeddings)
            scale = loss.scale(norm, self.raw_scale)[:, None]
            x = x if loss.score.unit_embedding else embeddings
            return scale * products(x, Classes(self.weight, self.bias), loss.score)

    @torch.no_grad()
    def measure(self, embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """How a batch stands without any margin.

        Args:
            embeddings: (batch, dim), floating.
            labels: (batch,), integers in [0, classes); rows with `ignore_index` are left out.

        Returns:
            (batch,) bool, whether the own class has a larger cosine than all others (a tie, to
            rounding, is none); and (batch,) angles to the own class in radians. Both are shorter than
            the batch by the rows that were left out.
        """
        embeddings, labels, _ = self._counted(embeddings, labels)
        with torch.autocast(embeddings.device.type, enabled=False):
            x, norm = unit(self._computed(embeddings))
            w = unit(self.weight[labels].to(x.dtype))[0]
            cosine, angle = (x * w).sum(dim=1), angle_between(x, w)
            sample = Sample(torch.ones_like(norm), norm, cosine, angle, cosine)
            backend = negatives.choose(self.backend, len(labels), self.num_classes)
            nearest = backend(x, Classes(self.weight, None), sample, labels, NEAREST)
        return cosine > nearest + 8 * torch.finfo(cosine.dtype).eps, angle

    @property
    def current_loss(self) -> Loss:
        """The loss at the present step: its schedules replaced by their numbers."""
        return self.loss.at(int(self.step)) if self._is_scheduled else self.loss

    def _counted(self, embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Check a batch; its rows that are not ignored, and which those are (None: all)."""
        check_batch(embeddings, labels, self.weight)
        labels = labels.long()
        check_values(embeddings, labels, self.num_classes, self.ignore_index)
        if self.ignore_index is None:
            return embeddings, labels, None
        rows = (labels != self.ignore_index).nonzero()[:, 0]
        return embeddings[rows], labels[rows], rows

    def _computed(self, embeddings: Tensor) -> Tensor:
        """The embeddings in the dtype to compute in."""
        dtype = torch.promote_types(embeddings.dtype, self.weight.dtype)
        return embeddings.to(torch.promote_types(dtype, torch.float32))

    def extra_repr(self) -> str:
        """What `print(head)` shows."""
        sizes = f"embedding_dim={self.embedding_dim}, num_classes={self.num_classes}"
        return f"{sizes}, backend={self.backend!r},\nloss={self.loss}"


NEAREST = Loss(scale=Fixed(1.0), pool=LogSumExp(temperature=0))
"""Its pool is the largest cosine among the negatives."""


def _reduce(
    per_sample: Tensor,
    weight: Tensor | None,
    reduction: Reduction,
    rows: Tensor | None,
    batch: int,
) -> Tensor:
    weighted = per_sample if weight is None else per_sample * weight
    if reduction == "none":
        if rows is None:
            return weighted
        return per_sample.new_zeros(batch).index_copy(0, rows, weighted)
    if reduction == "sum":
        return weighted.sum()
    total = per_sample.new_tensor(len(per_sample)) if weight is None else weight.sum()
    return weighted.sum() / total.where(total > 0, 1)
