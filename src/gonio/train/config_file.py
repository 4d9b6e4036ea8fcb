"""Configurations as YAML files, read strictly."""

from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from gonio.base.errors import ConfigError
from gonio.train.config import TrainConfig


class _StrictLoader(yaml.SafeLoader):  # type: ignore[misc]
    """Refuses a key that stands twice, of which YAML would silently take the last, and aliases."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", node.start_mark
                )
        return dict(super().construct_mapping(node, deep=deep))

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(
                None, None, "an alias (*) is not allowed here", self.peek_event().start_mark
            )
        return super().compose_node(parent, index)


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
        ConfigError: a text that is not YAML, a key that stands twice, or an alias.
    """
    try:
        return yaml.load(text, _StrictLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{where}, line {line}: not valid YAML: {error.problem}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{where}: not valid YAML: {error}") from error


def to_yaml(config: TrainConfig) -> str:
    """Every setting as YAML."""
    return str(yaml.safe_dump(config.to_dict(), sort_keys=False, allow_unicode=True))
