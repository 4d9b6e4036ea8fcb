"""The head: class weights, and any loss of the table over them, as one torch module."""

from typing import Any

import torch
from torch import Tensor, nn

from gonio.base.arrays import Rows
from gonio.base.numbers import whole_number
from gonio.engines import Backend
from gonio.engines.workspace import Workspace
from gonio.head.answers import Answers
from gonio.head.labels import check_smoothing
from gonio.head.reduction import Reduction, check_reduction, reduced
from gonio.head.settings import as_loss
from gonio.head.watch import watch
from gonio.loss import Loss
from gonio.optimizer_in_backward import Mover
from gonio.rules.facts import Memory
from gonio.rules.state import Sizes


class Head(Answers):
    """Class weights and a softmax-based loss with a margin.

    Put `head.parameters()` into the optimizer beside the backbone's. Computation is in float32 (or
    float64, if embeddings or weight are), also under autocast and for half-precision embeddings, whose
    gradient comes back in their own dtype. The weight's dtype never changes.

    What a loss learns or remembers beside the weight is a parameter or buffer of the head, named as in
    its parts: `bias`, `raw_scale`, `threshold`, `margins`, `level` and so on. Running statistics change
    in training mode alone and are those of the batches of all ranks, where torch.distributed runs.

    Args:
        embedding_dim: dimension of the embeddings, >= 1.
        num_classes: number of classes, >= 1.
        loss: a name from `gonio.losses.names()`, or a loss such as `gonio.losses.arcface(margin=0.5)`.
        backend: "auto", "reference", "chunked", or a backend such as `gonio.engines.Chunked(512)`.
        ignore_index: rows with this label add nothing to the loss and to any gradient.
        class_counts: (classes,) training samples of each class, for losses that ask for them.
        class_weight: (classes,) finite weights >= 0 of the samples of each class.
        label_smoothing: share of the label's mass, in [0, 1), that is spread evenly over all classes;
            for losses that are a cross-entropy.
        device: where the parameters are made.
        dtype: of the parameters; float32 where none is given.

    Attributes:
        weight: (classes, dim) parameter; (classes, centers, dim) where a class has several centres;
            None for a loss that compares the embeddings of a batch with each other.
        step: () int64 buffer: training batches seen, which is what schedules run on. Each forward
            pass with gradients counts: under gradient accumulation too, where several make one step
            of the optimizer (write `head.step` yourself to count otherwise), and under activation
            checkpointing, which a scheduled head is to be kept out of.

    Raises:
        TypeError: a loss or backend that is none, or a size that is no whole number.
        ValueError: a size below 1, an unknown name, or a setting that the loss has no use for.

    Example:
        >>> head = Head(embedding_dim=8, num_classes=5, loss="arcface")
        >>> head(torch.randn(4, 8), torch.tensor([0, 1, 2, 4])).shape
        torch.Size([])
        >>> head.logits(torch.randn(4, 8)).shape
        torch.Size([4, 5])
    """

    step: Tensor
    class_weight: Tensor | None

    def __init__(
        self,
        embedding_dim: int,
        num_classes: int,
        loss: str | Loss = "arcface",
        *,
        backend: str | Backend = "auto",
        ignore_index: int | None = None,
        class_counts: Rows | None = None,
        class_weight: Rows | None = None,
        label_smoothing: float = 0.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        embedding_dim = whole_number("embedding_dim", embedding_dim, 1)
        num_classes = whole_number("num_classes", num_classes, 1)
        self.embedding_dim, self.num_classes = embedding_dim, num_classes
        self.ignore_index = ignore_index
        counts = self._numbers_of_classes("class_counts", class_counts)
        self._sizes = Sizes(num_classes, embedding_dim, counts)
        self._class_weight = self._numbers_of_classes("class_weight", class_weight)
        self.workspace = Workspace()
        self._loss = as_loss(loss, num_classes)
        self._label_smoothing = check_smoothing(label_smoothing, self._loss)
        self.backend = backend
        new: Any = {"device": device, "dtype": dtype}
        shape = self._loss.weight_shape(num_classes, embedding_dim)
        self.weight = None if shape is None else nn.Parameter(torch.empty(shape, **new))
        self._make(self._loss, new)
        self.register_buffer("step", torch.zeros((), dtype=torch.int64, device=device))
        weight = self._class_weight
        weight = None if weight is None else torch.empty_like(weight, device=device)
        self.register_buffer("class_weight", weight, persistent=False)
        self.reset_parameters()
        watch(self)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Begin anew: step 0, and weight rows of norm about 1 from torch's global generator."""
        self.step.zero_()
        if self.weight is not None:
            self.weight.normal_(std=self.embedding_dim**-0.5)
        if self.class_weight is not None and self._class_weight is not None:
            self.class_weight.copy_(self._class_weight)
        self._begin()

    def attach_optimizer(self, optimizer: torch.optim.Optimizer) -> None:
        """From now on move the weight in backward, tile by tile: its gradient never exists.

        The training loop stays as it is. In training mode, backward takes the step of the weight with
        the settings that `optimizer` has for it then, and keeps its state there; `optimizer.step()`
        moves everything else. Checkpoints are those of the ordinary optimizer. "auto" means "chunked".
        What would need the gradient (clipping, GradScaler, accumulation) is refused where it happens.
        A deep copy or a pickle of the head is not attached.

        Args:
            optimizer: SGD, Adam or AdamW, with `head.weight` among its parameters.

        Raises:
            TypeError: an optimizer of another type, or a weight in float16.
            ValueError: a loss, backend or setting that does not go with it, or a weight that has a
                gradient.
        """
        self.catch_up()
        memory = Memory(self._kept, self._step_number())
        new = Mover(optimizer, self.weight, self.backend, self.current_loss, memory)
        self.detach_optimizer()
        self.workspace.clear()
        self._mover = new

    def forward(
        self,
        embeddings: Tensor,
        labels: Rows,
        *,
        label_mass: Rows | None = None,
        sample_weight: Rows | None = None,
        reduction: Reduction = "mean",
    ) -> Tensor:
        """The loss of a batch.

        Args:
            embeddings: (batch, dim), floating, not normalised; an empty batch costs 0.
            labels: (batch,) or (batch, 1), integers in [0, classes), or `ignore_index`; a tensor, an
                array or a list. Several for each sample are (batch, k) with `label_mass`, or (batch,
                classes) floating probabilities.
            label_mass: (batch, k), >= 0, rows of sum 1: how much of each label a sample is. The loss
                and the margin of a label are weighted by it; see `gonio.equation`.
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
        check_reduction(reduction)
        is_training = self.training and torch.is_grad_enabled()
        if is_training and self._mover is not None:
            self._mover.check(embeddings)
        with torch.autocast(self.step.device.type, enabled=False):
            ranks = self._ranks(is_training=is_training)
            batch = self._read(embeddings, labels, label_mass, sample_weight, reduction)
            batch = batch.gathered(ranks)
            if self.weight is None:
                batch = batch.in_pairs(warn=self.training)
            result = self._result(batch, ranks, is_training=is_training)
        losses = self._checked(result.losses, batch)
        if is_training:
            self.step += 1
            if result.changes:
                self._commit(result.changes)
        return reduced(losses, batch, reduction, ranks)

    def extra_repr(self) -> str:
        """What `print(head)` shows."""
        sizes = f"embedding_dim={self.embedding_dim}, num_classes={self.num_classes}"
        return f"{sizes}, backend={self.backend!r},\nloss={self.loss}"
