import numpy as np
import pytest

from gonio.data.cache import cached


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "gonio"


def make():
    return {"pixels": np.arange(1000, dtype=np.uint8), "names": np.array(["a", "bé"])}


def never():
    raise AssertionError("made again")


def assert_same(arrays):
    assert arrays.keys() == make().keys()
    for key, array in make().items():
        np.testing.assert_array_equal(arrays[key], array)


def test_arrays_are_made_once(folder):
    assert_same(cached("some", make))
    assert_same(cached("some", never))
    assert [path.name for path in folder.iterdir()] == ["some.cache"]


def test_another_name_is_made_for_itself():
    cached("some", make)
    assert cached("other", lambda: {"x": np.zeros(2)}).keys() == {"x"}
    assert_same(cached("some", never))


def flip(place):
    """One bit of one byte."""

    def damage(content):
        changed = bytearray(content)
        changed[place(content)] ^= 1
        return bytes(changed)

    return damage


DAMAGES = {
    "truncated": lambda content: content[:-100],
    "empty": lambda content: b"",
    "text": lambda content: b"no archive",
    "longer": lambda content: content + b"\0",
    "digest": flip(lambda content: 3),
    "pixels": flip(lambda content: len(content) // 2),
    "header of an array": flip(lambda content: content.index(b"\x93NUMPY") + 8),
    "list of the archive": flip(lambda content: content.rindex(b"PK\x01\x02") + 10),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_made_again_with_a_word(folder, damage):
    cached("some", make)
    path = folder / "some.cache"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.warns(UserWarning, match=r"some\.cache is damaged and made anew"):
        assert_same(cached("some", make))
    assert_same(cached("some", never))


def test_what_somebody_else_put_there_is_not_opened(folder):
    folder.mkdir()
    with (folder / "some.cache").open("wb") as file:
        np.savez(file, pixels=np.array([{"an": "object"}], dtype=object))
    with pytest.warns(UserWarning, match="damaged"):
        assert_same(cached("some", make))


def test_a_cache_that_cannot_be_written_costs_a_warning_and_leaves_nothing_behind(folder):
    (folder / "some.cache").mkdir(parents=True)
    with pytest.warns(UserWarning, match="not kept for next time"):
        assert_same(cached("some", make))
    assert [path.name for path in folder.iterdir()] == ["some.cache"]


def test_without_the_variable_the_cache_is_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    cached("some", make)
    assert (tmp_path / ".cache" / "gonio" / "some.cache").is_file()
