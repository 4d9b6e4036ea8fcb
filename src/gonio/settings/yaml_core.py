"""YAML 1.2 with the types of its core schema, read strictly.

    on, 1:30, 2001-01-01    words, as nothing else here is meant by them
    010, 0o10, 5e-1, .5     ten, eight, a half, a half

Refused, because they are mistakes or tricks in a file of settings: a key that stands twice, an alias and
its anchor, a tag, and a key that is no word.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from gonio.base.errors import ConfigError

SCALAR = "tag:yaml.org,2002:"
CORE: dict[str, tuple[str, Callable[[str], Any]]] = {
    "null": (r"~|null|Null|NULL|", lambda text: None),
    "bool": (r"true|True|TRUE|false|False|FALSE", lambda text: text.lower() == "true"),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", lambda text: _whole_number(text)),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        lambda text: float(text.lower().replace(".inf", "inf").replace(".nan", "nan")),
    ),
}
"""Type -> what a plain scalar of it looks like, and its value (chapter 10.3 of the specification)."""


def _whole_number(text: str) -> int:
    return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))


class _Loader(yaml.BaseLoader):  # type: ignore[misc]
    """Finds the types of plain scalars, and refuses what only looks harmless."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise _refused("an alias (*) or anchor (&) is not allowed here; quote text", event)
        if getattr(event, "tag", None) is not None:
            raise _refused(
                f"a tag ({event.tag.replace(SCALAR, '!!')}) is not allowed here; write the value alone",
                event,
            )
        return super().compose_node(parent, index)


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]
    """Quotes text that would be another type, here or for a reader of YAML 1.1."""


for _kind, (_pattern, _) in CORE.items():
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(SCALAR + _kind, re.compile(f"(?:{_pattern})$"), None)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds.

    Raises:
        ConfigError: a file that cannot be read, or holds something else.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is no text in UTF-8") from error
    values = parse_yaml(text, str(path))
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(
            f"{path}: got a {type(values).__name__}; settings are 'name: value' lines"
        )
    return values


def parse_yaml(text: str, where: str) -> Any:
    """The value of a YAML text.

    Args:
        text: one YAML document.
        where: it stands, for the error.

    Raises:
        ConfigError: a text that is not YAML, or holds what is refused.
    """
    try:
        loader = _Loader(text)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(
            f"{where}, line {line}: not valid YAML: {error.reason}: {chr(error.character)!r}"
        ) from error
    try:
        node = loader.get_single_node()
        return None if node is None else _value(node)
    except yaml.MarkedYAMLError as error:
        line = (error.problem_mark or error.context_mark).line + 1
        raise ConfigError(f"{where}, line {line}: not valid YAML: {error.problem}") from error
    except RecursionError as error:
        raise ConfigError(f"{where}: not valid YAML: it is nested too deeply") from error
    except (ValueError, OverflowError) as error:
        line = loader.line + 1
        raise ConfigError(
            f"{where}, line {line}: not valid YAML: an escape stands for no character"
        ) from error


def line_of(text: str, path: str) -> int:
    """The line of a setting such as `optimise.lr`, or of the section that should have it.

    Args:
        text: that `parse_yaml` has read.
        path: names of keys between points.
    """
    node, line = _Loader(text).get_single_node(), 1
    for name in path.split("."):
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        found = {key.value: (value, key.start_mark.line + 1) for key, value in pairs}
        if name not in found:
            break
        node, line = found[name]
    return line


def to_yaml(values: dict[str, Any]) -> str:
    """Plain values as YAML, which `parse_yaml` and readers of YAML 1.1 read alike."""
    return str(yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True))


def _value(node: yaml.Node) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return [_value(item) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        return _mapping(node)
    known = CORE.get(node.tag.removeprefix(SCALAR))
    try:
        return node.value if known is None else known[1](node.value)
    except ValueError as error:  # thousands of digits
        raise _refused(f"a number of {len(node.value)} digits is too long", node) from error


def _mapping(node: yaml.MappingNode) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _refused("a key must be a word", key)
        if key.value in found:
            raise _refused(f"the key {key.value!r} stands twice", key)
        found[key.value] = _value(value)
    return found


def _refused(problem: str, place: yaml.Event | yaml.Node) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=place.start_mark)
