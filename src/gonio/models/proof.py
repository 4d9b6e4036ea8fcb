"""Whether a backbone is what its saved weights make of it."""

import torch
from safetensors.torch import load, save
from torch import Tensor

from gonio.base.errors import ConfigError
from gonio.base.importing import said
from gonio.models.build import build_backbone

IMAGES = 4


@torch.no_grad()
def prove_saving(name: str, *, embedding_dim: int, image_size: int, channels: int) -> None:
    """Refuse a backbone that would give other embeddings after it was saved and loaded.

    Of two that are built alike, the first is trained on a batch, and the second takes over its weights.
    Torch's global generator is left as it was.

    Raises:
        ConfigError: a backbone that fails in training mode, that cannot be saved or loaded, or whose
            embeddings differ.
    """
    shape = {"embedding_dim": embedding_dim, "image_size": image_size, "channels": channels}
    with torch.random.fork_rng(devices=[]):
        first, second = build_backbone(name, **shape), build_backbone(name, **shape)
        images = 2 * torch.rand(IMAGES, channels, image_size, image_size) - 1
        try:
            first.train()(images)
            second.load_state_dict(load(save(_weights(first.state_dict()))))
        except Exception as error:
            raise ConfigError(
                f"backbone {name!r} cannot be trained, saved and loaded: {said(error)}"
            ) from error
        if torch.equal(first.eval()(images), second.eval()(images)):
            return
    raise ConfigError(
        f"backbone {name!r} gives other embeddings after it was saved and loaded; keep all that it "
        "computes with in parameters and buffers: layers in nn.ModuleList, tensors by register_buffer"
    )


def _weights(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Each for itself, also where they share memory."""
    for name, value in state.items():
        if not isinstance(value, Tensor):
            raise TypeError(
                f"its state_dict holds {name!r}, a {type(value).__name__} and no tensor"
            )
    return {
        name: value.clone(memory_format=torch.contiguous_format) for name, value in state.items()
    }
