"""What a set of images is, in three digests: whom it shows, its files, and what they hold."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from gonio.data.images import Images


@dataclass(frozen=True)
class Fingerprint:
    """Equal fingerprints are equal data, in the same order.

    Attributes:
        identities: how many.
        images: how many.
        names: SHA-256 of the identities' names.
        files: SHA-256 of the images' files and identities.
        pixels: SHA-256 of what each image holds.
    """

    identities: int
    images: int
    names: str
    files: str
    pixels: str

    @classmethod
    def of(cls, images: Images) -> "Fingerprint":
        """That of all images; no file is read again."""
        return cls(
            identities=len(images.names),
            images=len(images),
            names=_digest(images.names),
            files=_digest((*map(str, images.labels.tolist()), *images.files)),
            pixels=_digest(images.digests),
        )

    def differences(self, before: "Fingerprint") -> list[str]:
        """What is no longer as it was, such as ["identities (7 now, 8 before)", "pixels"]."""
        found = []
        if self.names != before.names:
            found.append("identities" + _amounts(self.identities, before.identities))
        if self.files != before.files:
            found.append("files" + _amounts(self.images, before.images))
        if self.pixels != before.pixels:
            found.append("pixels")
        return found


def _amounts(now: int, before: int) -> str:
    return "" if now == before else f" ({now} now, {before} before)"


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()
