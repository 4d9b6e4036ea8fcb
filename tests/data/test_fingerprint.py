import shutil

import pytest
import torch
from PIL import Image

from gonio.data import ArrayImages, Fingerprint, open_folder, select_identities


@pytest.fixture
def root(tmp_path):
    for number, name in enumerate(("alice/1", "alice/2", "bob/1", "bob/2")):
        path = tmp_path / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("L", (8, 8), number).save(path)
    return tmp_path


def fingerprint(root):
    return Fingerprint.of(open_folder(root, size=8, channels=1))


def another_identity(root):
    shutil.copytree(root / "bob", root / "carol")


def another_name(root):
    (root / "alice").rename(root / "ann")


def another_file(root):
    (root / "alice/2.png").rename(root / "alice/3.png")


def one_file_less(root):
    (root / "alice/2.png").unlink()


def other_pixels(root):
    Image.new("L", (8, 8), 9).save(root / "alice/1.png")


def exchanged(root):
    (root / "alice/1.png").rename(root / "kept")
    (root / "bob/1.png").rename(root / "alice/1.png")
    (root / "kept").rename(root / "bob/1.png")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (another_identity, ["identities (3 now, 2 before)", "files (6 now, 4 before)", "pixels"]),
        (another_name, ["identities", "files"]),
        (another_file, ["files"]),
        (one_file_less, ["files (3 now, 4 before)", "pixels"]),
        (other_pixels, ["pixels"]),
        (exchanged, ["pixels"]),
    ],
)
def test_what_changed_is_told(root, change, found):
    before = fingerprint(root)
    change(root)
    assert fingerprint(root).differences(before) == found


def test_the_same_files_elsewhere_are_the_same_data(root, tmp_path_factory):
    moved = shutil.copytree(root, tmp_path_factory.mktemp("other") / "moved")
    assert fingerprint(moved) == fingerprint(root)
    assert fingerprint(moved).differences(fingerprint(root)) == []


def test_images_in_memory_have_one_too():
    images = ArrayImages(
        torch.zeros(3, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 0, 1]), ("a", "b")
    )
    other = ArrayImages(images.pixels, torch.tensor([0, 1, 1]), images.names)
    assert Fingerprint.of(other).differences(Fingerprint.of(images)) == ["files"]
    other = ArrayImages(images.pixels + 1, images.labels, images.names)
    assert Fingerprint.of(other).differences(Fingerprint.of(images)) == ["pixels"]


def test_a_part_of_the_data_is_other_data(root):
    images = open_folder(root, size=8, channels=1)
    part = Fingerprint.of(select_identities(images, [1]))
    assert part.differences(fingerprint(root))[0] == "identities (1 now, 2 before)"
    shutil.rmtree(root / "alice")
    assert part == fingerprint(root)
