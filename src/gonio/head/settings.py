"""The settings of a head that can be exchanged later: its loss, smoothing and backend."""

import torch
from torch import Tensor, nn

from gonio import engines, losses
from gonio.base.numbers import whole_number
from gonio.engines import Backend
from gonio.engines.workspace import LastStep, Workspace
from gonio.head.labels import check_smoothing
from gonio.head.state import KeepsState
from gonio.loss import Loss
from gonio.rules.state import Sizes, states


def as_loss(loss: str | Loss, num_classes: int) -> Loss:
    """A name of the table or a loss -> the loss, bound to the number of classes.

    Raises:
        TypeError: neither.
        ValueError: an unknown name.
    """
    if isinstance(loss, str):
        loss = losses.get(loss).loss()
    if not isinstance(loss, Loss):
        raise TypeError(
            f"loss: {loss!r} is neither a name nor a Loss; call a row, as in losses.arcface()"
        )
    return loss.bind(num_classes)


def check_exchange(old: Loss, new: Loss, sizes: Sizes, *, is_attached: bool) -> None:
    """Refuse what cannot take the place of a loss, because optimizers have what the head learns.

    Raises:
        ValueError: another weight, other learned numbers, or an attached optimizer.
    """
    if is_attached:
        raise ValueError(
            "loss: an optimizer is attached, which was checked against the old one; call "
            "head.detach_optimizer() first, and attach it again"
        )
    shapes = [one.weight_shape(sizes.num_classes, sizes.embedding_dim) for one in (old, new)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"loss: {new} needs a weight of shape {shapes[1]}, and this Head has {shapes[0]}; build "
            "a new Head with it"
        )
    learned = [
        {name: one.shape for name, one in states(loss, sizes).items() if one.is_learned}
        for loss in (old, new)
    ]
    if learned[0] != learned[1]:
        raise ValueError(
            f"loss: {new} learns {sorted(learned[1]) or 'nothing'} beside the weight, and this Head "
            f"{sorted(learned[0]) or 'nothing'}; build a new Head with it"
        )


class HasSettings(KeepsState):
    """A head whose settings are checked against each other, whichever is exchanged."""

    num_classes: int
    weight: nn.Parameter | None
    step: Tensor
    workspace: Workspace
    _loss: Loss
    _ignore_index: int | None
    _label_smoothing: float
    _backend: Backend

    @property
    def is_attached(self) -> bool:
        """Whether backward moves the weight."""
        return False

    @property
    def loss(self) -> Loss:
        """The loss; another that needs the same weight can be put in its place, also by name.

        Its statistics then begin anew.
        """
        return self._loss

    @loss.setter
    def loss(self, loss: str | Loss) -> None:
        new = as_loss(loss, self.num_classes)
        check_smoothing(self._label_smoothing, new)
        check_exchange(self._loss, new, self._sizes, is_attached=self.is_attached)
        engines.check_backend(self._backend, new, self._label_smoothing)
        self._loss = new
        dtype = torch.float32 if self.weight is None else self.weight.dtype
        self._make(new, {"device": self.step.device, "dtype": dtype})
        self._begin(learned=False)

    @property
    def label_smoothing(self) -> float:
        """Share of the label's mass that is spread evenly over all classes."""
        return self._label_smoothing

    @label_smoothing.setter
    def label_smoothing(self, share: float) -> None:
        self._label_smoothing = check_smoothing(share, self._loss)

    @property
    def ignore_index(self) -> int | None:
        """The label of rows that add nothing; None where all count."""
        return self._ignore_index

    @ignore_index.setter
    def ignore_index(self, label: int | None) -> None:
        self._ignore_index = None if label is None else whole_number("ignore_index", label)

    @property
    def backend(self) -> Backend:
        """What the head computes with; another can be put in its place, also by name."""
        return self._backend

    @backend.setter
    def backend(self, backend: str | Backend) -> None:
        made = engines.named(backend)
        engines.check_backend(made, self.loss, self.label_smoothing)
        self._backend = made

    @property
    def last_step(self) -> LastStep | None:
        """What the backend has to tell of its last backward pass; None if it tells nothing."""
        has_one = engines.engine_of(self.backend).capabilities.owns_gradient
        return self.workspace.last_step if has_one else None

    @property
    def current_loss(self) -> Loss:
        """The loss at the present step: its schedules replaced by their numbers."""
        return self.loss.at(self._step_number()) if self._is_scheduled else self.loss

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def _step_number(self) -> int:
        return int(self.step)
