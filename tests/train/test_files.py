import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gonio.base.errors import ConfigError
from gonio.train import TrainConfig
from gonio.train.config_file import parse_yaml, read_yaml, to_yaml


def test_yaml_of_a_configuration_is_read_back(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(to_yaml(TrainConfig(seed=3)))
    assert TrainConfig.from_dict(read_yaml(path)) == TrainConfig.from_dict(
        TrainConfig(seed=3).to_dict()
    )


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text("ab é", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(PLAIN)
def test_strict_yaml_reads_plain_values_as_yaml_does(value):
    assert parse_yaml(yaml.safe_dump(value, allow_unicode=True), "x") == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 1: .*'a' stands twice"),
        ("x:\n  a: 1\n  a: 3\n", "line 2: .*'a' stands twice"),
        ("a: &x [1]\nb: *x\n", "line 2: .*alias"),
        ("a: [1\n", "not valid YAML"),
        ("a: !!python/object:os.system {}\n", "could not determine a constructor"),
        ("- 1\n", "a list"),
        ("word", "a str"),
        ("\x00", "not valid YAML"),
    ],
)
def test_a_configuration_that_is_not_plain_settings_is_refused(tmp_path, text, message):
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
