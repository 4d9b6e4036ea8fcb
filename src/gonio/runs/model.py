"""The trained weights as one safetensors file, with a JSON file that says what they are of."""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from gonio.base.durable import sha256, write_tensors
from gonio.base.errors import CheckpointError, ConfigError
from gonio.base.importing import check_allowed
from gonio.models import backbone_names, build_backbone, names_code
from gonio.runs.about import Facts
from gonio.runs.folder import RunFolder
from gonio.runs.records import DamagedError, read_record

BACKBONE, CLASSES = "backbone.", "head.weight"

Of = TypeVar("Of")


@dataclass(frozen=True)
class Backbone:
    """What `gonio.models.build_backbone` is asked for."""

    name: str
    embedding_dim: int
    image_size: int
    channels: int

    def check_allowed(self, allowed: Collection[str]) -> None:
        """Refuse code that only a file names; see `gonio.base.importing.check_allowed`.

        Raises:
            ConfigError: it is not among the allowed.
        """
        if names_code(self.name):
            check_allowed(self.name, allowed)

    def build(self) -> nn.Module:
        """One with random weights.

        Raises:
            ConfigError: a backbone that cannot be built here.
        """
        return build_backbone(
            self.name,
            embedding_dim=self.embedding_dim,
            image_size=self.image_size,
            channels=self.channels,
        )


@dataclass(frozen=True)
class Model:
    """What the weights are of.

    Attributes:
        sha256: of `model.safetensors`.
        step: that they were exported after.
        backbone: that they are of.
        loss: that the head is of, with its settings.
        identities: names of those that it was trained on, in the order of the rows of the head.
        run: that trained it.
    """

    sha256: str
    step: int
    backbone: Backbone
    loss: dict[str, Any]
    identities: tuple[str, ...]
    run: Facts


def write_weights(folder: RunFolder, weights: dict[str, Tensor]) -> str:
    """Write `model.safetensors`, its tensors named `backbone.*` and `head.*`, and return its SHA-256."""
    write_tensors(folder.weights, weights)
    return sha256(folder.weights)


def read_model(folder: RunFolder) -> Model:
    """What `model.json` says, held against the shapes of the weights.

    Raises:
        CheckpointError: no finished run, or files that are damaged or do not go together.
    """
    if not folder.model.exists():
        raise CheckpointError(
            f"{folder.path} holds no trained model; "
            + (
                f"finish it: gonio train --config {folder.config} --resume"
                if folder.about.exists()
                else "is it the folder of a run?"
            )
        )
    model = read_record(Model, folder.model)
    classes = _shapes(folder).get(CLASSES, [len(model.identities)])[0]
    if len(set(model.identities)) < len(model.identities) or len(model.identities) != classes:
        raise DamagedError(
            f"{folder.model} is damaged: identities: got {len(model.identities)}, "
            f"{len(set(model.identities))} of them different; {folder.weights.name} has {classes} classes"
        )
    return model


def read_weights(folder: RunFolder, model: Model) -> dict[str, Tensor]:
    """All weights, `backbone.*` and `head.*`, on the CPU.

    Raises:
        CheckpointError: weights that are damaged.
    """
    if sha256(folder.weights) != model.sha256:
        raise _damaged(folder, "its SHA-256 is not the one in model.json")
    with safe_open(folder.weights, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def load_backbone(run: str | os.PathLike[str], allowed: Collection[str] = ()) -> nn.Module:
    """The trained backbone of a finished run, in evaluation mode, on the CPU.

    It takes what `gonio.data.to_float` gives, (batch, channels, size, size), and returns embeddings
    (batch, dim), not normalised.

    Args:
        run: folder of the run.
        allowed: code of one's own that the run may name as its backbone, such as "my_nets:net".

    Raises:
        CheckpointError: no finished run, or a damaged one.
        ConfigError: a backbone that is not allowed, or cannot be built here.
    """
    folder = RunFolder(Path(run))
    model = read_model(folder)
    model.backbone.check_allowed(allowed)
    return restored(folder, model)


def restored(folder: RunFolder, model: Model) -> nn.Module:
    """The trained backbone of a model whose code is allowed, in evaluation mode, on the CPU.

    Nothing is allocated before the sizes in `model.json` are found to be those of the weights.

    Raises:
        CheckpointError: files that are damaged or do not go together.
        ConfigError: a backbone that cannot be built here.
    """
    _check_sizes(folder, model)
    weights = _of_backbone(read_weights(folder, model))
    backbone = model.backbone.build()
    try:
        backbone.load_state_dict(weights)
    except RuntimeError as error:
        raise _misfit(folder, model, str(error)) from error
    return backbone.eval()


def _shapes(folder: RunFolder) -> dict[str, list[int]]:
    """The shape of each weight, from the header of the file.

    Raises:
        DamagedError: a file that is missing or cannot be read.
    """
    try:
        with safe_open(folder.weights, framework="pt") as file:
            return {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise _damaged(folder, error) from error


def _check_sizes(folder: RunFolder, model: Model) -> None:
    """Hold the sizes in `model.json` against the weights by a backbone without memory.

    A backbone from elsewhere that needs memory to be built is not checked.

    Raises:
        CheckpointError: they do not go together.
    """
    there = _of_backbone(_shapes(folder))
    try:
        with torch.device("meta"):
            wanted = model.backbone.build().state_dict()
    except (ConfigError, RuntimeError, TypeError, OverflowError) as error:
        if model.backbone.name not in backbone_names():
            return
        raise _misfit(folder, model, str(error).partition("\n")[0]) from error
    for name, tensor in wanted.items():
        if there.get(name) != list(tensor.shape):
            is_so = f"{name} is {there.get(name, 'missing')}, and would be {list(tensor.shape)}"
            raise _misfit(folder, model, is_so)


def _of_backbone(named: Mapping[str, Of]) -> dict[str, Of]:
    return {
        name.removeprefix(BACKBONE): one for name, one in named.items() if name.startswith(BACKBONE)
    }


def _misfit(folder: RunFolder, model: Model, cause: str) -> CheckpointError:
    sizes = ", ".join(f"{name} {value!r}" for name, value in vars(model.backbone).items())
    return CheckpointError(
        f"{folder.model}: a backbone of {sizes} does not go with {folder.weights.name}: {cause}; put "
        f"the file back from a copy, or use the gonio that {folder.about.name} names"
    )


def _damaged(folder: RunFolder, cause: object) -> DamagedError:
    return DamagedError(
        f"{folder.weights} is damaged ({cause}); write it again from the last checkpoint: "
        f"gonio train --config {folder.config} --resume"
    )
