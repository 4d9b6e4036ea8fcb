import os

import pytest
import torch
from PIL import Image

from gonio.base.errors import ConfigError, DataError
from gonio.data import open_folder


def write(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (10, 10), value).save(path)


@pytest.fixture
def root(tmp_path):
    write(tmp_path / "bob" / "1.png", 30)
    write(tmp_path / "alice" / "2.png", 20)
    write(tmp_path / "alice" / "1.bmp", 10)
    return tmp_path


def opened(root, **options):
    return open_folder(root, **{"size": 8, "channels": 1} | options)


def values(images):
    return images.read(range(len(images)))[:, 0, 0, 0].tolist()


def test_a_sub_folder_is_an_identity_in_the_order_of_names(root):
    images = opened(root)
    assert images.names == ("alice", "bob")
    assert images.labels.tolist() == [0, 0, 1]
    assert values(images) == [10, 20, 30]
    assert images.read([2, 0]).shape == (2, 1, 8, 8)
    assert images.read([2, 0])[:, 0, 0, 0].tolist() == [30, 10]
    assert images.skipped == ()


def test_channels_and_size(root):
    assert opened(root, size=24, channels=3).read([0]).shape == (1, 3, 24, 24)


def test_images_beyond_the_memory_budget_are_read_from_their_files_with_the_same_pixels(root):
    kept = opened(root, memory_budget=3 * 64)
    reread = opened(root, memory_budget=3 * 64 - 1)
    assert kept.pixels is not None
    assert reread.pixels is None
    assert torch.equal(kept.read([2, 0, 0]), reread.read([2, 0, 0]))
    assert reread.read([]).shape == (0, 1, 8, 8)


def test_a_file_that_is_gone_later_is_named(root):
    images = opened(root, memory_budget=0)
    (root / "bob" / "1.png").unlink()
    assert images.read([0]).shape == (1, 1, 8, 8)
    with pytest.raises(DataError, match=r"bob.1\.png can no longer be read: not a regular file"):
        images.read([0, 2])


def test_a_file_that_is_another_one_later_is_named(root):
    images = opened(root, memory_budget=0)
    write(root / "bob" / "1.png", 31)
    with pytest.raises(DataError, match=r"bob.1\.png has changed since its folder was opened"):
        images.read([0, 2])


def test_what_is_no_image_may_lie_anywhere_but_among_the_images(root):
    for name in ("alice/.DS_Store", "alice/Thumbs.db", "README.txt", "alice/notes/1.txt", ".git/1"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"x")
    assert values(opened(root)) == [10, 20, 30]


def test_images_that_are_left_out_are_counted_by_kind_and_named(root):
    write(root / "loose.png")
    for i in range(7):
        write(root / "alice" / "old" / f"{i}.png")
    write(root / "carol" / "deep" / "1.png")
    write(root / ".dave" / "1.png")
    write(root / "bob" / ".2.png")
    with pytest.warns(UserWarning, match="are left out") as caught:
        assert values(opened(root)) == [10, 20, 30]
    (warning,) = caught
    for part in (
        "2 hidden (.dave/1.png; bob/.2.png)",
        "1 beside the sub-folders (loose.png)",
        "8 nested deeper (alice/old/0.png; alice/old/1.png;",
        "alice/old/4.png; and 3 more)",
    ):
        assert part in str(warning.message)


def test_a_link_may_be_an_image_or_an_identity_and_leads_nowhere_else(root, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    write(elsewhere / "carol" / "1.png", 40)
    (root / "carol").symlink_to(elsewhere / "carol")
    (root / "bob" / "2.png").symlink_to(elsewhere / "carol" / "1.png")
    (root / "bob" / "loop").symlink_to(root)
    with pytest.warns(UserWarning, match=r"1 behind a link \(bob/loop\)"):
        images = opened(root)
    assert images.names == ("alice", "bob", "carol")
    assert values(images) == [10, 20, 30, 40, 40]


def test_names_are_bytes_that_a_message_shows_escaped(root):
    odd = os.fsdecode(b"caf\xe9\x1b]0;")
    write(root / odd / "1.png", 50)
    write(root / odd / "deep" / "2.png")
    with pytest.warns(UserWarning, match=r"\(caf\\xe9\\x1b\]0;/deep/2\.png\)"):
        images = opened(root)
    assert images.names == ("alice", "bob", odd)
    assert images.files[-1] == f"{odd}/1.png"


def spoil(root, count):
    for i in range(count):
        (root / "alice" / f"bad{i}.jpg").write_bytes(b"not an image")


def test_a_few_unreadable_files_are_skipped_with_a_warning_that_names_them(root):
    spoil(root, 1)
    with pytest.warns(UserWarning, match=r"1 of 4 files .*: alice.bad0\.jpg \(not an image in"):
        images = opened(root, max_bad_fraction=0.25)
    assert values(images) == [10, 20, 30]
    (path, reason) = images.skipped[0]
    assert path.name == "bad0.jpg"
    assert reason.startswith("not an image")


def test_too_many_unreadable_files_are_refused_by_name(root):
    spoil(root, 7)
    with pytest.raises(DataError) as raised:
        opened(root, max_bad_fraction=0.69)
    message = str(raised.value)
    assert "7 of 10 files" in message
    assert "bad0.jpg (not an image" in message
    assert "and 2 more" in message
    assert "max_bad_fraction" in message


def test_one_unreadable_file_of_a_few_is_too_many_by_default(root):
    spoil(root, 1)
    with pytest.raises(DataError, match="1 of 4"):
        opened(root)


def test_an_identity_without_a_readable_image_is_none(root):
    (root / "carol").mkdir()
    (root / "dave").mkdir()
    (root / "dave" / "1.png").write_bytes(b"")
    with pytest.warns(UserWarning, match="dave"):
        assert opened(root, max_bad_fraction=0.5).names == ("alice", "bob")


def fill(root, *names):
    for name in names:
        write(root / name)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ((), "no file in a sub-folder"),
        (("1.png",), "no file in a sub-folder, but images 1 beside the sub-folders (1.png)"),
        (
            ("train/ann/1.png",),
            "no file in a sub-folder, but images 1 nested deeper (train/ann/1.png)",
        ),
        (("ann/1.png", "bob/1.png"), "2 readable images, no two of the same identity"),
    ],
)
def test_another_layout_is_refused_with_what_was_found_and_what_is_expected(tmp_path, names, found):
    fill(tmp_path, *names)
    with pytest.raises(DataError) as raised:
        opened(tmp_path)
    assert f"{tmp_path} holds {found}; expected one sub-folder" in str(raised.value)
    assert f"such as {tmp_path}/alice/1.jpg" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_folder_that_is_missing(tmp_path):
    with pytest.raises(DataError, match="is not a folder"):
        opened(tmp_path / "missing")


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_share_that_cannot_be_is_refused(root, share):
    with pytest.raises(ConfigError, match="max_bad_fraction"):
        opened(root, max_bad_fraction=share)
