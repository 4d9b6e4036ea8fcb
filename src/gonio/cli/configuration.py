"""From a YAML file and a command line to a `TrainConfig`: defaults < file < command line."""

import argparse
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from gonio import losses
from gonio.base.errors import ConfigError
from gonio.base.importing import check_allowed
from gonio.cli.parser import Parser, add_import
from gonio.cli.train_parser import add_setting, train_parser
from gonio.models import names_code
from gonio.runs.folder import RunFolder
from gonio.settings import (
    Tree,
    above,
    first_of,
    flags,
    from_flags,
    line_of,
    named,
    names,
    opened,
    read_yaml,
    words,
)
from gonio.train.config import TrainConfig

CODE: tuple[tuple[str, str, Callable[[str], bool]], ...] = (
    ("loss", "name", losses.names_code),
    ("model", "backbone", names_code),
)
"""Settings that may name code to be imported."""


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
    first = _first_look(arguments)
    path = None if first.config is None else Path(first.config)
    file = named({}, TrainConfig) if path is None else _read(path)
    chosen = from_flags(vars(first), words(TrainConfig), TrainConfig)
    tree = above(file, chosen, TrainConfig)
    if path is not None:
        with _in_file(path):
            _check_code(tree, chosen, first.allowed)
    settings = flags(TrainConfig, tree)
    found = train_parser(settings, names(tree, TrainConfig)).read(arguments)
    tree = above(file, from_flags(vars(found), settings, TrainConfig), TrainConfig)
    try:
        config = TrainConfig.from_dict(tree)
    except ConfigError:
        if path is not None:
            with _in_file(path):
                TrainConfig.from_dict(above(file, _names(chosen), TrainConfig))
        raise
    if path is not None and found.resume and found.out is None:
        config = _in_its_folder(config, path)
    return Request(config, found.resume, found.print_config)


def _first_look(arguments: Sequence[str]) -> argparse.Namespace:
    """What decides which other options there are."""
    parser = Parser("train", "", "")
    parser.add_argument("--config")
    add_import(parser)
    for name, setting in words(TrainConfig).items():
        add_setting(parser, name, setting)
    found, _ = parser.parse_known_args([one for one in arguments if one not in ("-h", "--help")])
    return found


def _names(chosen: Tree) -> Tree:
    """Of all that was typed, only which loss, network and so on: what a file has for others is void."""
    firsts = {section: first_of(setting.kind) for section, setting in words(TrainConfig).items()}
    return {
        section: {first: chosen[section][first]}
        for section, first in firsts.items()
        if first in chosen.get(section, {})
    }


def _read(path: Path) -> Tree:
    values = read_yaml(path)
    with _in_file(path):
        return named(opened(values, TrainConfig), TrainConfig)


def _check_code(tree: Tree, typed: Tree, allowed: Collection[str]) -> None:
    """Refuse code that a file names and the command line does not."""
    for section, name, is_code in CODE:
        held, said = tree.get(section), typed.get(section, {})
        value = held.get(name) if isinstance(held, dict) else None
        if isinstance(value, str) and is_code(value) and name not in said:
            try:
                check_allowed(value, allowed)
            except ConfigError as error:
                raise ConfigError(f"{section}.{name}: {error}") from error


@contextmanager
def _in_file(path: Path) -> Iterator[None]:
    """Around what understands a file, whose name and line then stand before the error."""
    try:
        yield
    except ConfigError as error:
        setting = str(error).partition(":")[0]
        line = line_of(path.read_text(encoding="utf-8"), setting)
        raise ConfigError(f"{path}, line {line}: {error}") from error


def _in_its_folder(config: TrainConfig, path: Path) -> TrainConfig:
    """A run that was moved, or is named from another folder, is where its configuration lies."""
    folder = RunFolder(path.parent)
    is_its_own = path.name == folder.config.name and folder.about.exists()
    return replace(config, out=str(folder.path)) if is_its_own else config
