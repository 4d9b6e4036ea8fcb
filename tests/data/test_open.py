import sys

import pytest
import torch
from PIL import Image

from gonio.base.errors import ConfigError, DataError
from gonio.data import ArrayImages, open_data
from gonio.data.open import BUILT_IN


def test_digits_come_in_their_own_size():
    images = open_data("digits", size=8, channels=1)
    assert len(images) == 1797
    assert images.names == tuple("0123456789")
    pixels = images.read(range(1797))
    assert pixels.shape == (1797, 1, 8, 8)
    assert pixels.min() == 0
    assert pixels.max() == 255
    assert images.labels[:5].tolist() == [0, 1, 2, 3, 4]


def test_built_in_images_are_resized_and_their_channel_repeated():
    small = open_data("digits", size=8, channels=1).read([0, 7])
    large = open_data("digits", size=32, channels=3).read([0, 7])
    assert large.shape == (2, 3, 32, 32)
    assert torch.equal(large[:, 0], large[:, 2])
    again = torch.nn.functional.avg_pool2d(large[:, :1].float(), 4)
    assert (again - small.float()).abs().mean() < 20


def test_smaller_built_in_images_are_averaged_and_not_sampled(monkeypatch):
    checkerboard = (torch.arange(64)[:, None] + torch.arange(64)) % 2 * 255
    images = ArrayImages(checkerboard.byte()[None, None], torch.tensor([0]), ("one",))
    monkeypatch.setitem(BUILT_IN, "digits", lambda: images)
    pixels = open_data("digits", size=8, channels=1).read([0])
    assert (pixels.int() - 127).abs().max() <= 2


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("glyhps", "'glyhps'; did you mean 'glyphs'?"),
        ("no/such/folder", "digits, glyphs, or the path of a folder that exists"),
    ],
)
def test_an_unknown_source_is_told_what_there_is(source, message):
    with pytest.raises(ConfigError) as raised:
        open_data(source, size=32, channels=1)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"size": 4}, "size must be at least 8 pixels, got 4"),
        ({"channels": 2}, r"channels must be 1 \(grey\) or 3 \(RGB\), got 2"),
    ],
)
def test_a_size_or_channels_that_cannot_be_are_refused(wrong, message):
    with pytest.raises(ConfigError, match=message):
        open_data("digits", **{"size": 8, "channels": 1} | wrong)


@pytest.mark.parametrize(
    ("source", "module"), [("digits", "sklearn.datasets"), ("glyphs", "matplotlib.ft2font")]
)
def test_without_its_package_a_built_in_names_the_extra(monkeypatch, source, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=rf"'{source}' need .* pip install 'gonio\[data\]'"):
        open_data(source, size=32, channels=1)


def test_a_folder_of_the_name_of_a_built_in_is_opened_by_its_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("1.png", "2.png"):
        path = tmp_path / "digits" / "ann" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8)).save(path)
    assert open_data("./digits", size=8, channels=1).names == ("ann",)
    assert len(open_data("digits", size=8, channels=1).names) == 10


def test_a_file_is_no_folder(tmp_path):
    path = tmp_path / "faces.zip"
    path.write_bytes(b"")
    with pytest.raises(DataError, match="is not a folder"):
        open_data(str(path), size=32, channels=1)
