"""Backbones from elsewhere: timm, or anything that can be imported."""

from typing import Any

import torch
from torch import Tensor, nn

from gonio.base.errors import ConfigError
from gonio.base.importing import imported, said


def build_timm(model: str, *, embedding_dim: int, image_size: int, channels: int) -> nn.Module:
    """Build a model of timm with random weights, its classifier replaced by a projection.

    Raises:
        ConfigError: Where timm cannot be imported or does not have or build the model.
    """
    try:
        import timm
    except Exception as error:  # a torchvision for another torch fails in ways of its own
        raise ConfigError(
            f"backbone 'timm:{model}' needs timm, which cannot be imported ({error}); "
            "pip install 'gonio[timm]'"
        ) from error
    if not timm.is_model(model):
        raise ConfigError(f"timm {timm.__version__} has no model {model!r}; see timm.list_models()")
    options: dict[str, Any] = {"num_classes": embedding_dim, "in_chans": channels}
    config = timm.get_pretrained_cfg(model)
    if config is not None and config.fixed_input_size:
        options["img_size"] = image_size
    try:
        backbone = timm.create_model(model, pretrained=False, **options)
    except Exception as error:
        raise ConfigError(f"timm cannot build {model!r} with {options}: {said(error)}") from error
    return _checked(backbone, f"timm:{model}", embedding_dim, image_size, channels)


def build_imported(name: str, *, embedding_dim: int, image_size: int, channels: int) -> nn.Module:
    """Call `module:factory` with `embedding_dim`, `image_size` and `channels`.

    Raises:
        ConfigError: Where it cannot be imported or called, or does not return a backbone.
    """
    make = imported(name, (name,))
    try:
        backbone = make(embedding_dim=embedding_dim, image_size=image_size, channels=channels)
    except Exception as error:
        raise ConfigError(
            f"backbone {name!r} failed when called with embedding_dim={embedding_dim}, "
            f"image_size={image_size}, channels={channels}: {said(error)}"
        ) from error
    if not isinstance(backbone, nn.Module):
        raise ConfigError(
            f"backbone {name!r} must return a torch.nn.Module, got {type(backbone).__name__}"
        )
    return _checked(backbone, name, embedding_dim, image_size, channels)


def _checked(
    backbone: nn.Module, name: str, embedding_dim: int, image_size: int, channels: int
) -> nn.Module:
    """Return the backbone once it has turned two images into two embeddings."""
    images = torch.zeros(2, channels, image_size, image_size)
    training = backbone.training
    try:
        with torch.no_grad():
            output = backbone.eval()(images)
    except Exception as error:
        raise ConfigError(
            f"backbone {name!r} fails on images of shape {tuple(images.shape)}: {said(error)}"
        ) from error
    backbone.train(training)
    if not isinstance(output, Tensor) or output.shape != (2, embedding_dim):
        got = (
            f"shape {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
        )
        raise ConfigError(
            f"backbone {name!r} must return embeddings of shape (2, {embedding_dim}) for images of "
            f"shape {tuple(images.shape)}, got {got}"
        )
    return backbone
