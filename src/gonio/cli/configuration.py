"""From a YAML file and a command line to a `TrainConfig`: defaults < file < command line.

A section given as one word is named by it: `--loss arcface` is `--loss.name arcface`, and
`data: digits` in a file is `data: {source: digits}`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple, get_args

from gonio.base.errors import ConfigError
from gonio.cli.parser import check_known
from gonio.cli.settings import settings_of
from gonio.cli.train_parser import FLAGS, explained, shown_kind, train_parser
from gonio.runs.folder import RunFolder
from gonio.train.config import TrainConfig, dotted
from gonio.train.config_file import read_yaml

WORDS = {"data": "source", "model": "backbone", "loss": "name"}
"""Section -> the setting that a word stands for."""


class Request(NamedTuple):
    """What a command line asks for."""

    config: TrainConfig
    resume: bool
    print_config: bool


def read_request(arguments: Sequence[str]) -> Request:
    """Understand the arguments of `gonio train`.

    Raises:
        ConfigError: an unknown setting, a value that does not fit, or a file that cannot be read.
        SystemExit: after `--help`.
    """
    arguments = [_spelled(argument) for argument in arguments]
    path, loss = _last(arguments, "--config"), _last(arguments, "--loss.name")
    values = {} if path is None else dotted(_named(read_yaml(Path(path))))
    name = values.setdefault("loss.name", TrainConfig().loss.name)
    if loss is not None and loss != name:
        values = {key: value for key, value in values.items() if not key.startswith("loss.")}
        name = values["loss.name"] = loss
    if not isinstance(name, str):
        raise ConfigError(f"loss.name: got {name!r}; it must be a name; see gonio losses")
    settings = settings_of(name)
    for key in values:
        check_known(key, settings, f"setting of a run with the loss {name!r}")
    options = [f"--{key}" for key in (*settings, *FLAGS, "config", "help")]
    for argument in arguments:
        if argument.startswith("--"):
            option = argument.partition("=")[0]
            check_known(option, options, f"option of a run with the loss {name!r}")
    parser = train_parser(name, settings)
    chosen = explained(lambda: parser.parse_object(values), settings, f"{path}: ")
    rest = [argument for argument in arguments if argument != "--print_config"]
    found = explained(lambda: parser.parse_args(rest, namespace=chosen), settings)
    for key, (kind, _, _) in settings.items():  # the parser lets null pass everywhere
        if found[key] is None and NoneType not in get_args(kind):
            raise ConfigError(f"{key}: got null; it must be {shown_kind(kind)}")
    config = TrainConfig.from_dict({key: found[key] for key in TrainConfig().to_dict()})
    if path is not None and found["resume"] and _last(arguments, "--out") is None:
        config = _in_its_folder(config, Path(path))
    return Request(config, found["resume"], "--print_config" in arguments)


def _in_its_folder(config: TrainConfig, path: Path) -> TrainConfig:
    """A run that was moved, or is named from another folder, is where its configuration lies."""
    folder = RunFolder(path.parent)
    is_its_own = path.name == folder.config.name and folder.about.exists()
    return replace(config, out=str(folder.path)) if is_its_own else config


def _spelled(argument: str) -> str:
    """`--loss=x` -> `--loss.name=x`."""
    option, equals, value = argument.partition("=")
    word = WORDS.get(option.removeprefix("--")) if option.startswith("--") else None
    return argument if word is None else f"{option}.{word}{equals}{value}"


def _last(arguments: Sequence[str], option: str) -> str | None:
    """The value of an option where it is given last."""
    found = None
    for argument, after in zip(arguments, (*arguments[1:], None), strict=True):
        head, equals, tail = argument.partition("=")
        if head == option:
            found = tail if equals else after
    return found


def _named(values: Mapping[str, Any]) -> dict[str, Any]:
    """`data: digits` -> `data.source: digits`, so that every section is spelled out."""
    return {
        f"{key}.{WORDS[key]}" if key in WORDS and not isinstance(value, dict) else key: value
        for key, value in values.items()
    }
