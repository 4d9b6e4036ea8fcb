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
    assert [path.name for path in folder.iterdir()] == ["some.npz"]


def test_another_name_is_made_for_itself():
    cached("some", make)
    assert cached("other", lambda: {"x": np.zeros(2)}).keys() == {"x"}
    assert_same(cached("some", never))


def flip(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize(
    "damage",
    [lambda content: content[:-100], lambda content: b"", lambda content: b"no archive", flip],
    ids=["truncated", "empty", "text", "one bit"],
)
def test_a_damaged_file_is_made_again(folder, damage):
    cached("some", make)
    path = folder / "some.npz"
    path.write_bytes(damage(path.read_bytes()))
    assert_same(cached("some", make))
    assert_same(cached("some", never))


def test_a_pickle_in_the_cache_is_not_opened(folder):
    folder.mkdir()
    np.savez(folder / "some.npz", pixels=np.array([{"an": "object"}], dtype=object))
    assert_same(cached("some", make))


def test_a_cache_that_cannot_be_written_costs_a_warning_and_leaves_nothing_behind(folder):
    (folder / "some.npz").mkdir(parents=True)
    with pytest.warns(UserWarning, match="not kept for next time"):
        assert_same(cached("some", make))
    assert [path.name for path in folder.iterdir()] == ["some.npz"]


def test_without_the_variable_the_cache_is_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    cached("some", make)
    assert (tmp_path / ".cache" / "gonio" / "some.npz").is_file()
