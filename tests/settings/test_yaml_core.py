import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gonio.base.errors import ConfigError
from gonio.settings import parse_yaml, read_yaml, to_yaml

TEXT = st.text(st.sampled_from("019.:-+eoxnlyé ~#&*'\"{[\x1b\udcff"), max_size=6)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(TEXT, PLAIN, max_size=3))
def test_what_is_written_is_read_back_here_and_by_readers_of_yaml_1_1(values):
    text = to_yaml(values)
    assert parse_yaml(text, "x") == values
    assert yaml.safe_load(text) == values


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("010", 10), ("0o17", 15), ("0x1F", 31), ("+3", 3), ("5e-1", 0.5), (".5", 0.5), ("1.", 1.0), ("-.INF", float("-inf")),
        ("~", None), ("", None), ("True", True), ("1:30", "1:30"), ("on", "on"), ("1_000", "1_000"), ("0b1", "0b1"), ("2001-01-01", "2001-01-01"), ("<<", "<<"),
    ],
)  # fmt: skip
def test_scalars_are_those_of_the_core_schema(text, value):
    found = parse_yaml(text, "x")
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3: .*the key 'a' stands twice"),
        ("x:\n  a: 1\n  a: 3\n", "line 3: .*the key 'a' stands twice"),
        ("a: &x [1]\nb: *x\n", "line 1: .*anchor"),
        ("b: *x\n", "line 1: .*alias"),
        ("a: !!python/object:os.system {}\n", "line 1: .*a tag"),
        ("a: 1\nb: !!int 3\n", "line 2: .*a tag"),
        ("? [a]\n: 1\n", "line 1: .*a key must be a word"),
        (f"a: 1\nb: {'9' * 5000}\n", "line 2: .*a number of 5000 digits"),
        ('a: 1\nb: "\\U99999999"\n', "line 2: .*an escape stands for no character"),
        ("a: 1\n---\nb: 2\n", "line 2: .*another document"),
        ("a: 1\nb: \x00", "line 2: .*special characters"),
        ("[" * 100_000, "nested too deeply"),
        ("a: [1\n", "not valid YAML"),
        ("- 1\n", "a list"),
        ("word", "a str"),
    ],
)
def test_what_is_no_plain_settings_is_refused_with_file_and_line(tmp_path, text, message):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        read_yaml(path)
    assert str(path) in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml: No such file"):
        read_yaml(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ConfigError, match="UTF-8"):
        read_yaml(tmp_path / "binary.yaml")


def test_an_empty_file_sets_nothing(tmp_path):
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert read_yaml(tmp_path / "empty.yaml") == {}


def test_keys_are_compared_in_linear_time():
    text = "\n".join(f"k{number}: 1" for number in range(20_000))
    began = time.process_time()
    assert len(parse_yaml(text, "x")) == 20_000
    assert time.process_time() - began < 10  # a minute, where each is compared with all
