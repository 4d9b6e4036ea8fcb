"""Pixels of other depths than 8 bits, as far as Pillow hands them on as they are in the file."""

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import (
    BITSPERSAMPLE,
    PHOTOMETRIC_INTERPRETATION,
    SAMPLEFORMAT,
    TiffImageFile,
)

from gonio.base.errors import DataError

WHITE = 255
WHITE_IS_ZERO = 0
SIGNED = 2
KEYED = ("1", "L", "RGB")
"""How PNG may store pixels with a transparent colour, for Pillow scales them and not the colour."""


def white_level(image: ImageFile) -> int:
    """What white is among the numbers of an image that is opened and not loaded yet.

    Raises:
        DataError: Where nothing in the file says so.
    """
    if image.mode == "F":
        raise DataError("floating-point pixels have no known range; save it with 8 or 16 bits")
    if isinstance(image, TiffImageFile):
        return _white_of_tiff(image)
    is_keyed = image.format == "PNG" and image.mode != "P" and "transparency" in image.info
    if is_keyed and image.tile[0].args not in KEYED:
        raise DataError(
            "a transparent colour without 8 bits; save it with 8 bits or an alpha channel"
        )
    return 65_535 if _is_deep(image) else WHITE


def eight_bits(image: Image.Image, white: int) -> Image.Image:
    """Scale grey pixels in [0, white] to [0, 255]."""
    scaled = np.rint(np.arange(white + 1) / (white / WHITE)).astype(np.uint8)
    return Image.fromarray(scaled[np.asarray(image)])


def _white_of_tiff(image: TiffImageFile) -> int:
    tags = image.tag_v2
    if SIGNED in tags.get(SAMPLEFORMAT, ()):
        raise DataError("signed pixels have no known range; save it with 8 or 16 bits")
    if not _is_deep(image):
        return WHITE
    (bits,) = tags[BITSPERSAMPLE]
    if bits > 16:
        raise DataError(f"pixels of more than 16 bits ({bits}); save it with 8 or 16 bits")
    if tags[PHOTOMETRIC_INTERPRETATION] == WHITE_IS_ZERO:
        raise DataError(f"{bits} bits with white as zero; save it with black as zero")
    white: int = 2**bits - 1
    return white


def _is_deep(image: Image.Image) -> bool:
    """Whether Pillow holds grey pixels of more than 8 bits."""
    return image.mode.startswith("I")
