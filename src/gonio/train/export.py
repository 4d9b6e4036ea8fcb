"""The final weights as one safetensors file, with a JSON file that says what they are of."""

import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from gonio.base.durable import sha256, write_json, write_tensors
from gonio.base.errors import CheckpointError, ConfigError
from gonio.base.importing import check_allowed
from gonio.models import build_backbone, names_code
from gonio.train.config import TrainConfig
from gonio.train.run_folder import RunFolder

FORMAT = 1
BACKBONE = "backbone."


def export_model(
    folder: RunFolder,
    config: TrainConfig,
    weights: dict[str, Tensor],
    identities: tuple[str, ...],
    data: dict[str, Any],
) -> None:
    """Write `model.safetensors` and `model.json`.

    Args:
        folder: of the run.
        config: of the run.
        weights: named `backbone.*` and `head.*`.
        identities: names of the classes, which are the rows of `head.weight` where there is one.
        data: fingerprint of the data set.
    """
    write_tensors(folder.weights, weights)
    about = {
        "format": FORMAT,
        "sha256": sha256(folder.weights),
        "backbone": {
            "name": config.model.backbone,
            "embedding_dim": config.model.embedding_dim,
            "image_size": config.data.size,
            "channels": config.data.channels,
        },
        "loss": config.loss.plain(),
        "data": data,
        "identities": identities,
    }
    write_json(folder.model, about)


def read_model(folder: RunFolder) -> dict[str, Any]:
    """What `model.json` says.

    Raises:
        CheckpointError: no finished run, or a file that cannot be read or is of a newer format.
    """
    if not folder.model.exists():
        raise CheckpointError(
            f"{folder.path} holds no trained model; "
            + (
                f"finish it: gonio train --config {folder.config} --resume"
                if folder.config.exists()
                else "is it the folder of a run?"
            )
        )
    try:
        about: dict[str, Any] = json.loads(folder.model.read_bytes())
        is_known = about["format"] == FORMAT
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(folder, error) from error
    if not is_known:
        raise CheckpointError(f"{folder.model} is of a newer format; a newer gonio wrote it")
    return about


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
    about = read_model(folder)
    try:
        if names_code(about["backbone"]["name"]):
            check_allowed(about["backbone"]["name"], allowed)
        backbone = build_backbone(about["backbone"].pop("name"), **about["backbone"])
        if sha256(folder.weights) != about["sha256"]:
            raise ValueError("its SHA-256 is not the one in model.json")
        with safe_open(folder.weights, framework="pt") as file:
            names = [name for name in file.keys() if name.startswith(BACKBONE)]  # noqa: SIM118
            weights = {name.removeprefix(BACKBONE): file.get_tensor(name) for name in names}
    except ConfigError:
        raise
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise _damaged(folder, error) from error
    try:
        backbone.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(
            f"{folder.weights}: the backbone has other weights in this version of gonio; that of the "
            f"run is in {folder.versions}"
        ) from error
    return backbone.eval()


def _damaged(folder: RunFolder, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"{folder.weights} is damaged ({error}); write it again from the last checkpoint: "
        f"gonio train --config {folder.config} --resume"
    )
