"""One image file to one tensor of pixels."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from gonio.base.errors import DataError

FORMATS = ("BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
"""What Pillow may open: raster formats only, none that runs a program as EPS does."""

MAX_PIXELS = 50_000_000
"""Larger images are refused from their header, before anything is decoded."""


def decode(path: Path, *, size: int, channels: int) -> Tensor:
    """Read an image file, turned as its EXIF tag says and resized to a square.

    The sides are resized independently, which leaves aligned square crops as they are.
    Transparent parts become white; of an animation, the first frame is read; 16 bits become 8.

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
            upright = ImageOps.exif_transpose(image)
        plain = _plain(upright, "L" if channels == 1 else "RGB")
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DataError(f"not an image in {', '.join(FORMATS)}") from error
    except Exception as error:  # what decoders raise on hostile bytes has no common base
        raise DataError(str(error) or type(error).__name__) from error
    pixels = np.array(plain.resize((size, size), Image.Resampling.BILINEAR))
    return torch.from_numpy(pixels).reshape(size, size, channels).permute(2, 0, 1).contiguous()


def _plain(image: Image.Image, mode: str) -> Image.Image:
    """Convert to "L" or "RGB", over white where the image is transparent."""
    if image.mode == "F":
        raise DataError("floating-point pixels have no known range; save it with 8 or 16 bits")
    if image.mode.startswith("I"):
        image = _eight_bits(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert(mode)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Scale [0, 65535] to [0, 255]."""
    values = np.asarray(image, np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise DataError("pixels of more than 16 bits; save it with 8 or 16 bits")
    return Image.fromarray(np.rint(values / 257).astype(np.uint8))
