"""All that training changes: weights, optimizer, generator and step, as named tensors."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gonio.base.errors import CheckpointError
from gonio.runs.model import Backbone
from gonio.train.build_head import attach, build_head
from gonio.train.config import TrainConfig
from gonio.train.optimise import build_optimizer


def initial_backbone(backbone: Backbone, seed: int) -> nn.Module:
    """The backbone with the weights that a run of this seed starts from.

    It seeds torch's global generators.
    """
    torch.manual_seed(seed)
    return backbone.build()


def backbone_of(config: TrainConfig) -> Backbone:
    """What the settings ask for."""
    model, data = config.model, config.data
    return Backbone(model.backbone, model.embedding_dim, data.size, data.channels)


class TrainState:
    """The backbone, the head and the optimizer of a run, and the steps that were taken.

    Args:
        config: of the run; its seed decides the first weights.
        class_counts: (classes,) images of each identity that is trained on.
        device: where everything is kept.

    Raises:
        ConfigError: settings of the model or the loss that do not fit the data or each other.
    """

    def __init__(self, config: TrainConfig, class_counts: Tensor, device: torch.device) -> None:
        self.backbone = initial_backbone(backbone_of(config), config.seed)
        self.head = build_head(config, class_counts)
        self.model = nn.ModuleDict({"backbone": self.backbone, "head": self.head}).to(device)
        self.optimizer = build_optimizer(self.model, config.optimise)
        if config.optimise.in_backward:
            attach(self.head, self.optimizer)
        self.step = 0

    def weights(self) -> dict[str, Tensor]:
        """Parameters and buffers of the backbone and the head by name, on the CPU."""
        return {
            name: tensor.detach().cpu().contiguous()
            for name, tensor in self.model.state_dict().items()
        }

    def tensors(self) -> dict[str, Tensor]:
        """All of the state but the step, on the CPU."""
        found = self.weights()
        for name, parameter in self.model.named_parameters():
            for key, value in self.optimizer.state[parameter].items():
                if value is not None:
                    found[f"optimizer.{name}.{key}"] = value.detach().cpu().contiguous()
        return found | {"random.cpu": torch.get_rng_state()}

    def load(self, weights: Mapping[str, Tensor], step: int) -> None:
        """Take over what `weights` gave at a step.

        Raises:
            CheckpointError: weights of another model.
        """
        try:
            self.model.load_state_dict(weights)
        except RuntimeError as error:
            raise _other_weights() from error
        self.step = step

    def restore(self, tensors: Mapping[str, Tensor], step: int) -> None:
        """Take over what `tensors` gave at a step.

        Raises:
            CheckpointError: tensors of another model.
        """
        self.load({key: one for key, one in tensors.items() if not key.startswith(OTHERS)}, step)
        try:
            torch.set_rng_state(tensors["random.cpu"])
        except (KeyError, RuntimeError) as error:
            raise _other_weights() from error
        for name, parameter in self.model.named_parameters():
            start = f"optimizer.{name}."
            self.optimizer.state[parameter] = {
                key.removeprefix(start): value.to(parameter.device)
                for key, value in tensors.items()
                if key.startswith(start)
            }


def _other_weights() -> CheckpointError:
    return CheckpointError(
        "the run holds other weights than this version of gonio makes for its settings; go on with the "
        "version that began it"
    )


OTHERS = ("optimizer.", "random.")
"""Beginnings of the names of tensors that are not weights."""
