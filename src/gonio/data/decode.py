"""One image file to one tensor of pixels."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.ImageFile import ImageFile
from torch import Tensor

from gonio.base.errors import DataError
from gonio.data.budget import PixelBudget
from gonio.data.depth import WHITE, eight_bits, white_level

FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
"""What Pillow may open: raster formats only, none that runs a program as EPS does."""

MAX_PIXELS = 50_000_000
"""Larger images are refused from their header, before anything is decoded."""

BUDGET = PixelBudget(MAX_PIXELS)
"""A decoder holds up to 24 bytes a pixel."""


def decode(path: Path, *, size: int, channels: int) -> Tensor:
    """Read an image file, turned as its EXIF tag says and resized to a square.

    The sides are resized independently, which leaves aligned square crops as they are.
    Transparent parts become white; of an animation, the first frame is read; 12 and 16 bits
    become 8.

    Args:
        path: A regular file in one of `FORMATS`.
        size: Height and width of the result, in pixels.
        channels: 1 for grey, 3 for RGB.

    Returns:
        `(channels, size, size)` uint8.

    Raises:
        DataError: Where the file is not such an image; the message does not repeat the path.
    """
    if not path.is_file():
        raise DataError("not a regular file")
    try:
        with Image.open(path, formats=FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise DataError(f"{width} x {height} pixels, more than {MAX_PIXELS:,} in all")
            with BUDGET.take(width * height):
                plain = _plain(image, "L" if channels == 1 else "RGB")
                pixels = np.array(plain.resize((size, size), Image.Resampling.BILINEAR))
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DataError(f"not an image in {', '.join(FORMATS)}") from error
    except Exception as error:  # what decoders raise on hostile bytes has no common base
        raise DataError(str(error) or type(error).__name__) from error
    return torch.from_numpy(pixels).reshape(size, size, channels).permute(2, 0, 1).contiguous()


def is_image(path: Path) -> bool:
    """Whether a file begins as an image in one of `FORMATS` does."""
    if not path.is_file():
        return False
    try:
        with Image.open(path, formats=FORMATS):
            return True
    except OSError:
        return False
    except Image.DecompressionBombError:
        return True


def _plain(image: ImageFile, mode: str) -> Image.Image:
    """Load, turn and convert to "L" or "RGB", over white where the image is transparent."""
    white = white_level(image)
    upright: Image.Image = ImageOps.exif_transpose(image)
    if white > WHITE:
        upright = eight_bits(upright, white)
    if upright.has_transparency_data:
        upright = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright)
    return upright.convert(mode)
