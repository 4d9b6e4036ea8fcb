import hashlib
import unicodedata

import pytest
import torch

from gonio.data import glyphs
from gonio.data.glyphs import SAMPLES, SIZE, distort_characters, draw_characters


def digest(characters):
    return hashlib.sha256(distort_characters(draw_characters(characters))["pixels"]).hexdigest()


def test_a_subset_is_drawn_the_same_twice():
    assert digest("AbЖ≤") == digest("AbЖ≤")


def test_the_samples_of_a_character_do_not_depend_on_the_others():
    together = distort_characters(draw_characters("AbЖ"))["pixels"]
    alone = distort_characters(draw_characters("b"))["pixels"]
    assert (together[SAMPLES : 2 * SAMPLES] == alone).all()


@pytest.mark.parametrize(
    "twins",
    [
        "A\N{GREEK CAPITAL LETTER ALPHA}\N{CYRILLIC CAPITAL LETTER A}",
        "0O\N{CYRILLIC CAPITAL LETTER O}",
        "c\N{CYRILLIC SMALL LETTER ES}\N{SMALL ROMAN NUMERAL ONE HUNDRED}",
        "\N{GREEK CAPITAL LETTER OMEGA}\N{OHM SIGN}",
        "\N{DOT OPERATOR}\N{MIDDLE DOT}",
        "-\N{HYPHEN}\N{NON-BREAKING HYPHEN}",
    ],
)
def test_of_characters_that_look_the_same_the_first_stays(twins):
    assert list(draw_characters(twins)) == [twins[0]]


@pytest.mark.parametrize("pair", ["oO", "EF", "bd", "PR", "69", "mn", "éè", ".:"])
def test_characters_that_look_different_both_stay(pair):
    assert list(draw_characters(pair)) == list(pair)


@pytest.mark.parametrize(
    "character",
    [" ", "\u2003", "\n", "\u200b", "\u0301", "\ue000", "\U0010fffe", "漢", "ﬁ", "²"],
    ids=lambda character: f"U+{ord(character):04X}",
)
def test_what_is_blank_combining_missing_or_a_variant_is_left_out(character):
    assert draw_characters(character) == {}


@pytest.mark.parametrize("package", ["PIL", "matplotlib", "numpy"])
def test_the_recipe_of_another_version_is_another(monkeypatch, package):
    before = glyphs._recipe()
    assert before == glyphs._recipe()
    monkeypatch.setattr(f"{package}.__version__", "0")
    assert glyphs._recipe() != before


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        drawn = glyphs.glyphs()
        reread = glyphs.glyphs()
    assert torch.equal(drawn.pixels, reread.pixels)
    assert drawn.names == reread.names
    return drawn


def test_there_are_thousands_of_characters_with_the_same_number_of_samples(images):
    assert len(images.names) >= 2000
    assert (images.labels.bincount() == SAMPLES).all()
    assert images.pixels.shape == (len(images), 1, SIZE, SIZE)
    assert len(set(images.names)) == len(images.names)


def test_names_say_which_character_it_is(images):
    assert "U+0041 LATIN CAPITAL LETTER A" in images.names
    for name in images.names:
        code, character = name.split(" ", 1)
        assert unicodedata.name(chr(int(code[2:], 16))) == character


def test_every_image_shows_ink_that_is_centred_and_not_cut(images):
    bright = images.pixels[:, 0] > 80
    assert bright.flatten(1).any(dim=1).all()
    border = torch.cat([bright[:, 0], bright[:, -1], bright[:, :, 0], bright[:, :, -1]], dim=1)
    assert border.any(dim=1).float().mean() < 0.01
    rows = torch.arange(SIZE).float()
    ink = images.pixels[:, 0].float().mean(dim=0)
    for axis in (0, 1):
        weights = ink.sum(dim=axis)
        assert (rows * weights).sum() / weights.sum() == pytest.approx((SIZE - 1) / 2, abs=1)


def test_no_two_images_are_equal(images):
    assert len({image.numpy().tobytes() for image in images.pixels}) == len(images)


def test_samples_of_a_character_are_nearer_to_its_others_than_to_another_character(images):
    some = images.pixels[: 300 * SAMPLES].flatten(1).float()
    some = torch.nn.functional.normalize(some - some.mean(dim=0), dim=1)
    labels = images.labels[: len(some)]
    cosines = (some @ some.T).fill_diagonal_(-1)
    found = (labels[cosines.argmax(dim=1)] == labels).float().mean()
    assert 0.2 < found < 0.95  # far above chance (1 in 300), and yet a task
