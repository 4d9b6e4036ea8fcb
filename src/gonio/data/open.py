"""Every source of images by its name."""

import difflib
from pathlib import Path

from torch.nn.functional import interpolate

from gonio.base.errors import ConfigError
from gonio.data.digits import digits
from gonio.data.folder import open_folder
from gonio.data.glyphs import glyphs
from gonio.data.images import ArrayImages, Images

BUILT_IN = {"digits": digits, "glyphs": glyphs}


def open_data(source: str, *, size: int, channels: int, max_bad_fraction: float = 0.01) -> Images:
    """Open a built-in data set or a folder of images.

    Args:
        source: "digits", "glyphs", or the path of a folder with one sub-folder for each identity;
            a folder of the same name as a built-in is "./digits".
        size: Height and width of the images, at least 8 pixels.
        channels: 1 for grey, 3 for RGB.
        max_bad_fraction: The share of unreadable files in [0, 1] that a folder may have.

    Raises:
        ConfigError: Where an argument is not as above, or a package is not installed.
        DataError: Where a folder does not hold what it should.
    """
    if size < 8:
        raise ConfigError(f"image size must be at least 8 pixels, got {size}")
    if channels not in (1, 3):
        raise ConfigError(f"channels must be 1 (grey) or 3 (RGB), got {channels}")
    if source in BUILT_IN:
        return _fitted(BUILT_IN[source](), size, channels)
    folder = Path(source).expanduser()
    if not folder.exists():
        close = difflib.get_close_matches(source, BUILT_IN, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ConfigError(
            f"data must be one of {', '.join(BUILT_IN)}, or the path of a folder that exists, "
            f"got {source!r}{hint}"
        )
    return open_folder(folder, size=size, channels=channels, max_bad_fraction=max_bad_fraction)


def _fitted(images: ArrayImages, size: int, channels: int) -> ArrayImages:
    """Resize grey images, and repeat the grey channel."""
    pixels = images.pixels
    if pixels.shape[-1] != size:
        pixels = interpolate(pixels, (size, size), mode="bilinear", antialias=True)
    return ArrayImages(pixels.expand(-1, channels, -1, -1), images.labels, images.names)
