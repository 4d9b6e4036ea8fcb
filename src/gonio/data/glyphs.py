"""Characters of the world's scripts, drawn in the fonts that matplotlib ships.

An identity is a character; an image is its drawing in one of the fonts, slightly distorted.
Nothing is downloaded, and this file, as the recipe, always gives the same pixels.
"""

import hashlib
import math
import unicodedata
from collections.abc import Iterable
from itertools import compress, product
from pathlib import Path
from types import ModuleType

import numpy as np
import PIL
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont, features

from gonio.base.errors import ConfigError, DataError
from gonio.data.cache import Arrays, cached
from gonio.data.images import ArrayImages
from gonio.data.progress import track

SIZE = 32

SAMPLES = 12
"""Images of each character."""

FONTS = (
    *(f"DejaVuSans{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSansMono{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic", "-BoldItalic")),
    *(f"STIXGeneral{style}" for style in ("", "Bol", "Italic", "BolIta")),
)

MIN_DRAWINGS = 4
"""Characters that the fonts draw in fewer different ways are left out."""

REFERENCE_FONTS = ("DejaVuSans", "DejaVuSansMono", "DejaVuSerif")

SAME_COSINE = 0.95
"""Two characters are one and the same where any two of their drawings in the reference fonts, as
vectors of 16 x 16 pixels, have a larger cosine: Latin A and Greek Alpha, letter O and digit 0."""

_CANVAS = 2 * SIZE  # drawings are distorted at twice the size, then averaged down
_CAPITAL = 40  # height of a capital H on the canvas, so that letter case is a matter of size
_BOX = 48  # the longest side that ink may have, which leaves room for the distortions
_NEVER_DRAWN = ("C", "M", "Z")  # categories: control and unassigned, combining, space


def glyphs() -> ArrayImages:
    """Return some 2,500 characters, 12 grey images of 32 x 32 pixels of each, ink bright.

    They are drawn on the first call (seconds) and kept in the user's cache folder.

    Raises:
        ConfigError: Where matplotlib is not installed.
        DataError: Where the installed matplotlib lacks one of the fonts.
    """
    arrays = cached(f"glyphs-{_recipe()}", lambda: distort_characters(draw_characters()))
    names = tuple(arrays["names"].tolist())
    labels = torch.arange(len(names)).repeat_interleave(SAMPLES)
    return ArrayImages(torch.from_numpy(arrays["pixels"]), labels, names)


def draw_characters(candidates: Iterable[str] | None = None) -> dict[str, list[Image.Image]]:
    """Draw every character that can be told from the ones before it.

    Args:
        candidates: The characters to choose from, by default all of the fonts by code point.

    Returns:
        The different drawings of each chosen character, undistorted.
    """
    fonts = {name: _open_font(name) for name in FONTS}
    if candidates is None:
        candidates = map(chr, sorted(set().union(*(codes for _, codes in fonts.values()))))
    drawable = [c for c in candidates if _is_drawable(c)]
    different: dict[str, list[Image.Image]] = {}
    looks: list[list[NDArray[np.float32]]] = []
    for character in track(drawable, "choosing characters", len(drawable)):
        drawings = {
            name: _draw(character, font)
            for name, (font, codes) in fonts.items()
            if ord(character) in codes
        }
        unlike = {drawing.tobytes(): drawing for drawing in drawings.values()}
        if len(unlike) >= MIN_DRAWINGS:
            different[character] = list(unlike.values())
            looks.append([_direction(drawings.get(name)) for name in REFERENCE_FONTS])
    return dict(compress(different.items(), _is_first(looks)))


def distort_characters(characters: dict[str, list[Image.Image]]) -> Arrays:
    """Distort drawings into samples; those of a character depend on no other character.

    Args:
        characters: The drawings of each character.

    Returns:
        `names` and `pixels`, `(len(names) * SAMPLES, 1, SIZE, SIZE)` uint8, by character.
    """
    pixels = np.empty((len(characters), SAMPLES, 1, SIZE, SIZE), np.uint8)
    items = track(characters.items(), "drawing characters", len(characters))
    for samples, (character, drawings) in zip(pixels, items, strict=True):
        random = np.random.default_rng(ord(character))
        order = random.permutation(len(drawings))
        for i, sample in enumerate(samples):
            sample[0] = _distort(drawings[order[i % len(order)]], random)
    names = [f"U+{ord(c):04X} {unicodedata.name(c)}" for c in characters]
    return {"pixels": pixels.reshape(-1, 1, SIZE, SIZE), "names": np.array(names)}


def _matplotlib() -> ModuleType:
    try:
        import matplotlib.ft2font
    except ImportError as error:
        raise ConfigError(
            f"the data 'glyphs' need matplotlib ({error}); pip install 'gonio[data]'"
        ) from error
    return matplotlib


def _recipe() -> str:
    """Identify all that the pixels depend on: this file, and the versions of what it draws with."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for version in (
        _matplotlib().__version__,
        PIL.__version__,
        features.version("freetype2"),
        np.__version__,
        unicodedata.unidata_version,
    ):
        digest.update(f" {version}".encode())
    return digest.hexdigest()[:16]


def _open_font(name: str) -> tuple[ImageFont.FreeTypeFont, set[int]]:
    """Open a font of matplotlib; return it with the code points that it has."""
    matplotlib = _matplotlib()
    path = Path(matplotlib.get_data_path(), "fonts", "ttf", f"{name}.ttf")
    if not path.is_file():
        raise DataError(
            f"the data 'glyphs' need the font {path}, which is not there; install matplotlib "
            "from PyPI (pip install --force-reinstall matplotlib)"
        )
    font = ImageFont.truetype(path, _CANVAS, layout_engine=ImageFont.Layout.BASIC)
    _, top, _, bottom = font.getbbox("H")
    font = font.font_variant(size=_CANVAS * _CAPITAL / (bottom - top))
    return font, set(matplotlib.ft2font.FT2Font(path).get_charmap())


def _is_drawable(character: str) -> bool:
    """Leave out what has no ink of its own, and variants that Unicode equates with another."""
    return (
        not unicodedata.category(character).startswith(_NEVER_DRAWN)
        and unicodedata.normalize("NFKC", character) == character
    )


def _draw(character: str, font: ImageFont.FreeTypeFont) -> Image.Image:
    """Draw a character in the middle of the canvas, smaller where it would leave the box."""
    left, top, right, bottom = font.getbbox(character)
    ink = Image.new("L", (round(right - left) + 2, round(bottom - top) + 2))
    ImageDraw.Draw(ink).text((1 - left, 1 - top), character, fill=255, font=font)
    ink = ink.crop(ink.getbbox())
    ink.thumbnail((_BOX, _BOX), Image.Resampling.BICUBIC)
    canvas = Image.new("L", (_CANVAS, _CANVAS))
    canvas.paste(ink, ((_CANVAS - ink.width) // 2, (_CANVAS - ink.height) // 2))
    return canvas


def _direction(drawing: Image.Image | None) -> NDArray[np.float32]:
    """Return 16 x 16 pixels as a unit vector; zero where there is no ink."""
    if drawing is None:
        return np.zeros(16 * 16, np.float32)
    pixels = np.asarray(drawing.reduce(_CANVAS // 16), np.float32).ravel()
    return pixels / np.float32(max(float(np.linalg.norm(pixels)), 1.0))


def _is_first(looks: list[list[NDArray[np.float32]]]) -> NDArray[np.bool_]:
    """Tell of each character whether it looks like no earlier one that is a first itself."""
    by_font = np.array(looks, np.float32).reshape(-1, len(REFERENCE_FONTS), 16 * 16).swapaxes(0, 1)
    alike = np.zeros((len(looks), len(looks)), bool)
    for one, other in product(by_font, repeat=2):
        alike |= one @ other.T > SAME_COSINE
    first = np.zeros(len(looks), bool)
    for i, row in enumerate(alike):
        first[i] = not (row & first).any()
    return first


def _distort(drawing: Image.Image, random: np.random.Generator) -> NDArray[np.uint8]:
    """Turn, shear, scale, shift and blur a drawing a little, and add noise."""
    angle, shear = random.uniform(-0.12, 0.12, 2)  # radians; width by height
    scale = random.uniform(0.9, 1.1)
    shift = random.uniform(-4, 4, 2)  # pixels of the canvas
    blur = random.uniform(0, 0.6)  # pixels
    noise = random.normal(0, random.uniform(0, 10), (SIZE, SIZE))  # grey levels

    cosine, sine = math.cos(angle) / scale, math.sin(angle) / scale
    inverse = np.array([[cosine, sine], [-sine, cosine]]) @ [[1, shear], [0, 1]]
    (a, b), (d, e) = inverse.tolist()
    centre = np.full(2, _CANVAS / 2)
    c, f = (centre - inverse @ (centre + shift)).tolist()
    moved = drawing.transform(
        drawing.size, Image.Transform.AFFINE, (a, b, c, d, e, f), Image.Resampling.BILINEAR
    )
    blurred = moved.reduce(2).filter(ImageFilter.GaussianBlur(blur))
    return np.clip(np.rint(np.asarray(blurred) + noise), 0, 255).astype(np.uint8)
