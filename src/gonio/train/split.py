"""The data of a run: identities to train on, and identities kept apart."""

from dataclasses import dataclass, replace
from pathlib import Path

from gonio.base.errors import DataError
from gonio.data import Fingerprint, Images, open_data, split_by_identity
from gonio.data.open import BUILT_IN
from gonio.train.config import DataConfig


@dataclass(frozen=True)
class Split:
    """What is trained on and what is evaluated.

    Attributes:
        seen: images of the identities to train on.
        unseen: images of the identities kept apart.
        fingerprint: of all images.
    """

    seen: Images
    unseen: Images
    fingerprint: Fingerprint


def located(config: DataConfig) -> DataConfig:
    """The same data, to be found from every folder."""
    if config.source in BUILT_IN:
        return config
    return replace(config, source=str(Path(config.source).expanduser().absolute()))


def open_images(config: DataConfig) -> Images:
    """All images of the source.

    Raises:
        ConfigError: an unknown source, or a package that is not installed.
        DataError: data that cannot be read.
    """
    return open_data(
        config.source,
        size=config.size,
        channels=config.channels,
        max_bad_fraction=config.max_bad_fraction,
    )


def open_split(config: DataConfig) -> Split:
    """The data of a run, split as they are told to be.

    Raises:
        ConfigError: an unknown source, or a package that is not installed.
        DataError: data that cannot be read, or too few of them.
    """
    images = open_images(config)
    seen, unseen = split_by_identity(images, config.unseen, config.split_seed)
    if len(seen) < 2:
        raise DataError(f"{config.source}: {len(seen)} image is left to train on; two are needed")
    return Split(seen, unseen, Fingerprint.of(images))
