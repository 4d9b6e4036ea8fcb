"""What people pass to a head, checked; and what it makes of that, likewise."""

import torch
from torch import Tensor

from gonio.base.arrays import Rows, read_weights
from gonio.base.checks import check_embeddings
from gonio.head.batch import Batch
from gonio.head.checked import checked_labels, checked_losses
from gonio.head.labels import check_several_labels, read_targets
from gonio.head.reduction import Reduction, relative
from gonio.head.settings import HasSettings


class Reads(HasSettings):
    """A head at its door."""

    embedding_dim: int
    class_weight: Tensor | None

    def _numbers_of_classes(self, name: str, given: Rows | None) -> Tensor | None:
        """(classes,) numbers >= 0, on the CPU, in float32 or wider."""
        if given is None:
            return None
        size = torch.Size((self.num_classes,))
        numbers = read_weights(name, given, size, "the classes").detach().cpu()
        return numbers.to(torch.promote_types(numbers.dtype, torch.float32))

    def _read(
        self,
        embeddings: Tensor,
        labels: Rows,
        label_mass: Rows | None = None,
        sample_weight: Rows | None = None,
        reduction: Reduction = "none",
    ) -> Batch:
        """Check a batch, and leave out the rows that are ignored."""
        check_embeddings(embeddings, self.embedding_dim, self.step.device)
        targets = read_targets(labels, label_mass, embeddings, self.num_classes, self.ignore_index)
        if targets.mass is not None:
            check_several_labels(self.loss)
        in_range = checked_labels(embeddings, targets.labels, self.num_classes, self.ignore_index)
        size, x, by_class = len(embeddings), self._computed(embeddings), self.class_weight
        if by_class is not None and reduction == "mean":
            by_class = relative(by_class)
        targets = targets._replace(
            labels=in_range, smoothing=self.label_smoothing, class_weight=by_class
        )
        weight = self._sample_weight(sample_weight, x, reduction)
        rows = None
        if self.ignore_index is not None:
            rows = (in_range != self.ignore_index).all(dim=1).nonzero()[:, 0]
            x, targets = x[rows], targets.of(rows)
            weight = None if weight is None else weight[rows]
        return Batch(x, targets.to(x.dtype), weight, rows, size)

    def _sample_weight(self, given: Rows | None, x: Tensor, reduction: Reduction) -> Tensor | None:
        if given is None:
            return None
        weight = read_weights("sample_weight", given, x.shape[:1], "the batch", x.device)
        return (relative(weight) if reduction == "mean" else weight).to(x.dtype)

    def _computed(self, embeddings: Tensor) -> Tensor:
        """The embeddings in the dtype to compute in."""
        own = torch.float32 if self.weight is None else self.weight.dtype
        dtype = torch.promote_types(embeddings.dtype, own)
        return embeddings.to(torch.promote_types(dtype, torch.float32))

    def _checked(self, losses: Tensor, batch: Batch) -> Tensor:
        """Losses, which are finite, from weights that are."""
        total = None  # of weights that are not normalised: one of -inf has no part in the loss
        if losses.requires_grad and self.weight is not None and not self.loss.score.unit_weight:
            wide = torch.promote_types(self.weight.dtype, torch.float32)
            total = self.weight.detach().sum(dtype=wide)
        return checked_losses(losses, batch.rows, self.named_parameters(), total)
