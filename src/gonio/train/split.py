"""The data of a run: identities to train on, identities kept apart, and a fingerprint of both."""

import hashlib
import json
from dataclasses import dataclass

from gonio.base.errors import DataError
from gonio.data import Images, open_data, split_by_identity
from gonio.train.config import DataConfig

Fingerprint = dict[str, int | str]


@dataclass(frozen=True)
class Split:
    """What is trained on and what is evaluated.

    Attributes:
        seen: images of the identities to train on.
        unseen: images of the identities kept apart.
        fingerprint: of all images: how many, of how many identities, and a digest of their labels.
    """

    seen: Images
    unseen: Images
    fingerprint: Fingerprint


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


def open_split(config: DataConfig, seed: int) -> Split:
    """The data of a run, split by the seed.

    Raises:
        ConfigError: an unknown source, or a package that is not installed.
        DataError: data that cannot be read, or too few of them.
    """
    images = open_images(config)
    seen, unseen = split_by_identity(images, config.unseen, seed)
    if len(seen) < 2:
        raise DataError(f"{config.source}: {len(seen)} image is left to train on; two are needed")
    return Split(seen, unseen, _fingerprint(images))


def _fingerprint(images: Images) -> Fingerprint:
    digest = hashlib.sha256(json.dumps(images.names).encode())
    digest.update(images.labels.numpy().astype("<i8").tobytes())
    return {
        "images": len(images),
        "identities": len(images.names),
        "sha256": digest.hexdigest(),
    }
