import io
import os
import struct
import zlib

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from gonio.base.errors import DataError
from gonio.data.budget import PixelBudget
from gonio.data.decode import MAX_PIXELS, decode


def saved(path, image, **options):
    image.save(path, **options)
    return path


@pytest.mark.parametrize(
    "suffix", ["avif", "png", "jpg", "webp", "bmp", "tif", "gif", "pgm", "jp2"]
)
def test_every_raster_format_is_read(tmp_path, suffix):
    path = saved(tmp_path / f"a.{suffix}", Image.new("L", (20, 30), 100))
    pixels = decode(path, size=16, channels=1)
    assert pixels.dtype == torch.uint8
    assert pixels.shape == (1, 16, 16)
    assert (pixels.int() - 100).abs().max() <= 2


def test_the_format_is_told_by_the_content_and_not_by_the_name(tmp_path):
    path = saved(tmp_path / "a.jpg", Image.new("L", (9, 9), 7), format="PNG")
    assert (decode(path, size=9, channels=1) == 7).all()


RED, GREY_OF_RED = (255, 0, 0), 76

MODES = {
    "1": (Image.new("1", (8, 8), 1), (255, 255, 255)),
    "L": (Image.new("L", (8, 8), 90), (90, 90, 90)),
    "LA": (Image.new("LA", (8, 8), (90, 255)), (90, 90, 90)),
    "RGB": (Image.new("RGB", (8, 8), RED), RED),
    "RGBA": (Image.new("RGBA", (8, 8), (*RED, 255)), RED),
    "P": (Image.new("RGB", (8, 8), RED).quantize(4), RED),
    "I;16": (Image.fromarray(np.full((8, 8), 257 * 90, np.uint16)), (90, 90, 90)),
    "half transparent": (Image.new("RGBA", (8, 8), (0, 0, 0, 128)), (127, 127, 127)),
    "transparent black": (Image.new("RGBA", (8, 8), (0, 0, 0, 0)), (255, 255, 255)),
    "transparent grey": (Image.new("LA", (8, 8), (0, 0)), (255, 255, 255)),
}


@pytest.mark.parametrize("name", MODES)
def test_every_mode_becomes_rgb_or_grey(tmp_path, name):
    image, (red, green, blue) = MODES[name]
    path = saved(tmp_path / "a.png", image)
    colour = decode(path, size=8, channels=3)
    assert colour.shape == (3, 8, 8)
    assert colour.flatten(1).unique(dim=1).T.tolist() == [[red, green, blue]]
    grey = decode(path, size=8, channels=1)
    assert grey.unique().tolist() == [GREY_OF_RED if (red, green, blue) == RED else red]


def of_16_bits(path, values):
    return saved(path, Image.fromarray(values.astype(np.uint16)))


def pgm_of_10_bits(path, values):
    path.write_bytes(b"P5 4 4 1023 " + np.rint(values * (1023 / 65_535)).astype(">u2").tobytes())
    return path


def tiff(path, values, *, bits=16, photometric=1, sample_format=1):
    """A grey TIFF of unscaled numbers of 8, 12 or 16 bits."""
    if bits == 12:
        packed = "".join(f"{value:03x}" for value in values.ravel().tolist())
        content = bytes.fromhex(packed)
    else:
        content = values.astype(f"<u{bits // 8}").tobytes()
    height, width = values.shape
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1}
    tags |= {278: height, 279: len(content), 339: sample_format}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    start = struct.pack("<I", 8 + len(content))
    path.write_bytes(
        b"II*\0" + start + content + struct.pack("<H", len(tags)) + entries + b"\0" * 4
    )
    return path


def tiff_of_12_bits(path, values):
    return tiff(path, np.rint(values * (4095 / 65_535)).astype(int), bits=12)


@pytest.mark.parametrize(
    ("suffix", "write"),
    [
        ("png", of_16_bits),
        ("tif", of_16_bits),
        ("jp2", of_16_bits),
        ("pgm", of_16_bits),
        ("pgm", pgm_of_10_bits),
        ("tif", tiff_of_12_bits),
    ],
)
def test_more_than_8_bits_span_the_whole_range_of_8(tmp_path, suffix, write):
    values = np.array([[0, 257 * 20, 257 * 100, 65_535]] * 4)
    pixels = decode(write(tmp_path / f"a.{suffix}", values), size=4, channels=1)
    assert pixels[0, 0].tolist() == [0, 20, 100, 255]


def test_16_bits_are_rounded(tmp_path):
    values = np.array([[128, 129, 32_767, 65_406]] * 4)
    pixels = decode(of_16_bits(tmp_path / "a.png", values), size=4, channels=1)
    assert pixels[0, 0].tolist() == [0, 1, 127, 254]


def test_a_transparent_palette_entry_is_white(tmp_path):
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 9, 9, 9])
    path = saved(tmp_path / "a.png", image, transparency=1)
    assert (decode(path, size=8, channels=1) == 255).all()


def test_cmyk_is_converted(tmp_path):
    path = saved(tmp_path / "a.jpg", Image.new("RGB", (8, 8), RED).convert("CMYK"), quality=95)
    assert (decode(path, size=8, channels=3)[:, 0, 0].int() - torch.tensor(RED)).abs().max() <= 3


def test_the_exif_tag_turns_the_image(tmp_path):
    image = Image.new("L", (16, 16))
    image.paste(255, (0, 0, 16, 8))  # bright above
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise, which moves the top to the right
    path = saved(tmp_path / "a.png", image, exif=exif)
    pixels = decode(path, size=16, channels=1)[0]
    assert (pixels[:, 8:] == 255).all()
    assert (pixels[:, :8] == 0).all()


def test_of_an_animation_the_first_frame_is_read(tmp_path):
    frames = [Image.new("L", (8, 8), value) for value in (10, 200)]
    path = saved(tmp_path / "a.gif", frames[0], save_all=True, append_images=frames[1:])
    assert (decode(path, size=8, channels=1) == 10).all()


def test_both_sides_are_resized_to_the_square(tmp_path):
    image = Image.new("L", (40, 10))
    image.paste(255, (20, 0, 40, 10))
    pixels = decode(saved(tmp_path / "a.png", image), size=10, channels=1)[0]
    assert (pixels[:, :4] == 0).all()
    assert (pixels[:, 6:] == 255).all()


def test_smaller_images_are_averaged_and_not_sampled(tmp_path):
    checkerboard = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    pixels = decode(saved(tmp_path / "a.png", Image.fromarray(checkerboard)), size=8, channels=1)
    assert (pixels.int() - 127).abs().max() <= 2


def test_every_decoder_takes_its_pixels_from_the_budget_of_all(tmp_path, monkeypatch):
    taken = []

    class Recorded(PixelBudget):
        def take(self, pixels):
            taken.append(pixels)
            return super().take(pixels)

    monkeypatch.setattr("gonio.data.decode.BUDGET", Recorded(MAX_PIXELS))
    whole = saved(tmp_path / "a.png", Image.new("L", (20, 30)))
    decode(whole, size=8, channels=1)
    whole.write_bytes(whole.read_bytes()[:45])
    with pytest.raises(DataError):
        decode(whole, size=8, channels=1)
    assert taken == [600, 600]


def chunk(kind, content):
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def png(width, height, pixels=b"", *, bits=8, colour=0, key=None):
    """Of one row of stored bytes, repeated; with a transparent colour, as numbers of the file."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = {b"IHDR": header, b"IDAT": zlib.compress((b"\0" + pixels) * height), b"IEND": b""}
    if key is not None:
        parts = {b"IHDR": header, b"tRNS": struct.pack(f">{len(key)}H", *key)} | parts
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts.items())


@pytest.mark.parametrize("side", [8000, 100_000], ids=["below Pillow's limit", "above it"])
def test_a_decompression_bomb_is_refused_by_its_header(tmp_path, side):
    assert side**2 > MAX_PIXELS
    path = tmp_path / "a.png"
    path.write_bytes(png(side, side)[:60])
    with pytest.raises(DataError, match="pixels"):
        decode(path, size=8, channels=1)


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"


@pytest.mark.parametrize("content", [b"", b"some text", EPS, b"<svg/>"])
def test_what_is_no_raster_image_is_refused(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match="not an image in AVIF, BMP, GIF, JPEG"):
        decode(path, size=8, channels=1)


def test_half_a_file_is_refused(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    path = saved(tmp_path / "a.jpg", Image.fromarray(noise))
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(DataError, match="truncated"):
        decode(path, size=8, channels=1)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((8, 8), np.float32), "floating-point pixels"),
        (np.full((8, 8), 200, np.int32), "signed pixels"),
    ],
)
def test_pixels_without_a_known_range_are_refused(tmp_path, values, message):
    path = saved(tmp_path / "a.tif", Image.fromarray(values))
    with pytest.raises(DataError, match=message):
        decode(path, size=8, channels=1)


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ({"photometric": 0}, "16 bits with white as zero"),
        ({"sample_format": 2, "bits": 8}, "signed pixels"),
        ({"sample_format": 2}, "signed pixels"),
        ({"bits": 32}, "more than 16 bits"),
    ],
)
def test_a_layout_that_would_be_read_wrongly_is_refused(tmp_path, layout, message):
    path = tiff(tmp_path / "a.tif", np.full((8, 8), 200), **layout)
    with pytest.raises(DataError, match=message):
        decode(path, size=8, channels=1)


TRANSPARENT = {
    "1 bit": (b"\xff", {"bits": 1, "key": [1]}),
    "8 bits": (bytes([90] * 8), {"key": [90]}),
    "8 bits, RGB": (bytes([90] * 24), {"colour": 2, "key": [90] * 3}),
}


@pytest.mark.parametrize("kind", TRANSPARENT)
def test_a_transparent_colour_is_white(tmp_path, kind):
    pixels, layout = TRANSPARENT[kind]
    path = tmp_path / "a.png"
    path.write_bytes(png(8, 8, pixels, **layout))
    assert (decode(path, size=8, channels=1) == 255).all()


@pytest.mark.parametrize(
    ("bits", "colour", "key"), [(2, 0, [1]), (4, 0, [1]), (16, 0, [257]), (16, 2, [257] * 3)]
)
def test_a_transparent_colour_that_would_be_missed_is_refused(tmp_path, bits, colour, key):
    path = tmp_path / "a.png"
    path.write_bytes(png(8, 8, b"\x01" * (bits * (1 + colour)), bits=bits, colour=colour, key=key))
    with pytest.raises(DataError, match="a transparent colour without 8 bits"):
        decode(path, size=8, channels=1)


def test_what_is_no_file_is_refused_without_waiting_for_it(tmp_path):
    pipe = tmp_path / "a.png"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path / "missing.png"):
        with pytest.raises(DataError, match="not a regular file"):
            decode(path, size=8, channels=1)


def encoded(kind):
    file = io.BytesIO()
    values = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(values).save(file, format=kind)
    return file.getvalue()


@given(
    content=st.sampled_from(
        [encoded(kind) for kind in ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP")]
    ),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=8),
    length=st.integers(0, 10_000),
)
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_hostile_bytes_give_pixels_or_a_data_error(tmp_path, content, changes, length):
    hostile = bytearray(content)
    for position, value in changes:
        hostile[position % len(hostile)] = value
    path = tmp_path / "a.img"
    path.write_bytes(hostile[: max(length, 1)])
    try:
        pixels = decode(path, size=8, channels=3)
    except DataError:
        return
    assert pixels.shape == (3, 8, 8)
