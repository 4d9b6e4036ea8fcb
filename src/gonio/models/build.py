"""Every backbone by its name."""

import difflib
from collections.abc import Callable
from functools import partial

from torch import nn

from gonio.base.errors import ConfigError
from gonio.models.external import build_imported, build_timm
from gonio.models.iresnet import DEPTHS, IResNet
from gonio.models.small import SmallNet

BUILT_IN: dict[str, Callable[..., nn.Module]] = {
    "small": SmallNet,
    **{f"iresnet{depth}": partial(IResNet, depth) for depth in DEPTHS},
}


def backbone_names() -> tuple[str, ...]:
    """Return the names of the built-in backbones."""
    return tuple(BUILT_IN)


def build_backbone(name: str, *, embedding_dim: int, image_size: int, channels: int) -> nn.Module:
    """Build a backbone with random weights.

    Args:
        name: One of `backbone_names()`, "timm:NAME" for a model of timm, or "module:factory" for
            anything that can be imported, also from the current folder; it is called as
            `factory(embedding_dim=..., image_size=..., channels=...)`.
        embedding_dim: Size of the embeddings, at least 1.
        image_size: Height and width of the images in pixels, at least 8.
        channels: Of the images, at least 1.

    Returns:
        A module from `(batch, channels, image_size, image_size)` float32 in [-1, 1] to
        `(batch, embedding_dim)` embeddings, not normalised.

    Raises:
        ConfigError: Where an argument is not as above, where the backbone cannot be imported or
            built, or where it does not return embeddings of that shape.
    """
    for argument, value, least in (
        ("embedding_dim", embedding_dim, 1),
        ("image_size", image_size, 8),
        ("channels", channels, 1),
    ):
        if value < least:
            raise ConfigError(f"{argument} must be at least {least}, got {value}")
    return _builder(name)(embedding_dim=embedding_dim, image_size=image_size, channels=channels)


def names_code(name: str) -> bool:
    """Whether building it imports a module of the user's own."""
    source, colon, _ = name.partition(":")
    return bool(colon) and source != "timm"


def _builder(name: str) -> Callable[..., nn.Module]:
    if name in BUILT_IN:
        return BUILT_IN[name]
    source, colon, what = name.partition(":")
    if not colon:
        close = difflib.get_close_matches(name, BUILT_IN, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ConfigError(
            f"backbone must be one of {', '.join(BUILT_IN)}, timm:NAME or module:factory, "
            f"got {name!r}{hint}"
        )
    if source == "timm":
        return partial(build_timm, what)
    return partial(build_imported, name)
