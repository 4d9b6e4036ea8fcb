"""The head of a run, and whether it can do what the settings ask for."""

from torch import Tensor
from torch.optim import Optimizer

from gonio.base.errors import ConfigError
from gonio.head import Head
from gonio.head.labels import check_several_labels
from gonio.loss import Loss
from gonio.train.config import TrainConfig


def build_head(config: TrainConfig, class_counts: Tensor) -> Head:
    """The head, with weights from torch's global generator.

    Args:
        config: of the run.
        class_counts: (classes,) training images of each class.

    Raises:
        ConfigError: settings of the loss, of `targets` or of `optimise` that do not go together.
    """
    loss: Loss = config.loss.make()
    if loss.pairing.against == "batch" and config.optimise.per_identity == 1:
        raise ConfigError(
            f"optimise.per_identity: got 1, but {config.loss.name} compares the images of a batch with "
            "each other; set it to 2 or more, such as 4, so that an identity meets itself"
        )
    balanced = class_counts.sum() / (len(class_counts) * class_counts)
    if config.targets.mixup:
        try:
            check_several_labels(loss)
        except ValueError as error:
            raise ConfigError(f"targets.mixup: {error}") from error
    try:
        return Head(
            config.model.embedding_dim,
            len(class_counts),
            loss,
            backend=config.backend.make(),
            class_counts=class_counts,
            class_weight=balanced if config.targets.class_weights == "balanced" else None,
            label_smoothing=config.targets.label_smoothing,
        )
    except ValueError as error:
        argument = str(error).partition(":")[0]
        raise ConfigError(f"{SECTIONS.get(argument, 'loss.')}{error}") from error


SECTIONS = {"backend": "", "label_smoothing": "targets."}
"""Where the arguments of a head stand among the settings, if not among those of the loss."""


def attach(head: Head, optimizer: Optimizer) -> None:
    """Let the class weights move in backward.

    Raises:
        ConfigError: settings of the loss or the backend that do not go with it.
    """
    try:
        head.attach_optimizer(optimizer)
    except ValueError as error:
        raise ConfigError(f"optimise.in_backward: {error}") from error
