"""The parser of `gonio train`, one for each loss, since the loss decides which settings there are."""

import argparse
import re
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from jsonargparse import ArgumentParser, DefaultHelpFormatter, Namespace

from gonio import losses
from gonio.base.errors import ConfigError
from gonio.cli.settings import Setting

EXAMPLES = """\
A section given as one word is named by it: --loss NAME is --loss.name NAME.

examples:
  gonio train --data glyphs --loss arcface
  gonio train --data path/to/folder --data.size 112 --data.channels 3 --model iresnet18
  gonio train --loss arcface --loss.scale auto --loss.margin '{start: 0, end: 0.5, steps: 1000}'
  gonio train --config settings.yaml --optimise.epochs 20 --out runs/longer
  gonio train --config runs/longer/config.yaml --resume
"""

FLAGS = {
    "resume": "go on with the run in --out, by default the latest of this data and loss",
    "print_config": "print every setting as YAML instead of training",
}

KINDS = {float: "a number", int: "a whole number", bool: "true or false", NoneType: "null"}


class Formatter(DefaultHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Types, defaults, and the examples as they are written."""


def train_parser(loss: str, settings: Mapping[str, Setting]) -> ArgumentParser:
    """Options for these settings, in a group for each section, and the flags."""
    parser = ArgumentParser(
        prog="gonio train",
        usage="gonio train [--config FILE] [--resume] [--SETTING VALUE ...]",
        description="Train embeddings, then verify identities that were never trained on.",
        epilog=EXAMPLES,
        formatter_class=Formatter,
        exit_on_error=False,
    )
    parser.add_argument("--config", help="YAML file of settings; the command line wins over it")
    for flag, meaning in FLAGS.items():
        parser.add_argument(f"--{flag}", action="store_true", help=meaning)
    sections = dict.fromkeys(name.partition(".")[0] for name in settings if "." in name)
    groups = {section: parser.add_argument_group(section) for section in sections}
    groups["loss"].title, groups["loss"].description = f"loss {loss}", losses.get(loss).summary
    for name, (kind, default, meaning) in settings.items():
        group = groups.get(name.partition(".")[0], parser)
        group.add_argument(f"--{name}", type=kind, default=default, help=meaning)
    return parser


def explained(
    parse: Callable[[], Namespace], settings: Mapping[str, Setting], where: str = ""
) -> Namespace:
    """What `parse` returns; its failure in one line.

    Raises:
        ConfigError: the parser refused an argument.
    """
    try:
        return parse()
    except argparse.ArgumentError as error:
        message = " ".join(str(error).split())
        match = re.match(r'Parser key "([^"]+)":.* (?:Got|Given) value: (.*)', message)
        if match and match[1] in settings:
            allowed = shown_kind(settings[match[1]].kind)
            message = f"{match[1]}: got {match[2]}; it must be {allowed}"
        raise ConfigError(f"{where}{message}; see gonio train --help") from error


def shown_kind(kind: Any) -> str:
    """A type in words: "a number or 'auto'"."""
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(shown_kind(one) for one in get_args(kind))
    if get_origin(kind) is Literal:
        return " or ".join(map(repr, get_args(kind)))
    return KINDS.get(kind, "text" if kind is str else "a mapping")
