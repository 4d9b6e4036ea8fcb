"""The parser of `gonio train`: an option for every setting that there is with this loss and backend."""

import argparse
from collections.abc import Mapping

from gonio.cli.output import as_typed
from gonio.cli.parser import Parser, add_import
from gonio.settings import Missing, Setting, first_of, plain, spoken, takes_a_word

EXAMPLES = """\
  gonio train --data glyphs --loss arcface
  gonio train --data path/to/folder --data.size 112 --data.channels 3 --model iresnet18
  gonio train --loss arcface --loss.scale auto --loss.margin '{start: 0, end: 0.5, steps: 1000}'
  gonio train --loss '{name: cosface, margin: 0.4}' --backend sampled --backend.rate 0.1
  gonio train --config settings.yaml --optimise.epochs 20 --out runs/longer
  gonio train --config runs/longer/config.yaml --resume
"""

FLAGS = {
    "resume": "go on with the run in --out, by default the latest of this data and loss",
    "print_config": "print every setting as YAML instead of training",
}


def train_parser(settings: Mapping[str, Setting], names: Mapping[str, str]) -> Parser:
    """Options for these settings, in a group for each section, and the flags.

    Args:
        settings: by dotted name.
        names: section -> what was chosen there.
    """
    parser = Parser(
        "train",
        "Train embeddings, then verify identities that were never trained on.",
        EXAMPLES,
        usage="gonio train [--config FILE] [--resume] [--SETTING VALUE ...]",
    )
    parser.add_argument("--config", help="YAML file of settings; the command line wins over it")
    add_import(parser)
    for flag, meaning in FLAGS.items():
        parser.add_argument(f"--{flag}", action="store_true", help=meaning)
    is_section = {
        name.partition(".")[0]: "." in name or takes_a_word(setting.kind)
        for name, setting in settings.items()
    }
    groups = {
        section: parser.add_argument_group(f"{section} {names.get(section, '')}".rstrip())
        for section, it_is in is_section.items()
        if it_is
    }
    for name, setting in settings.items():
        add_setting(groups.get(name.partition(".")[0], parser), name, setting)
    return parser


def add_setting(parser: argparse._ActionsContainer, name: str, setting: Setting) -> None:
    """The option of a setting; a section that takes a word has the name of its first setting, too."""
    options, kind = [f"--{name}"], spoken(setting.kind)
    if takes_a_word(setting.kind):
        options, kind = [*options, f"--{name}.{first_of(setting.kind)}"], "a name"
    default = "" if setting.default is Missing else f"; default: {as_typed(plain(setting.default))}"
    parser.add_argument(
        *options,
        dest=name,
        metavar=name.rpartition(".")[2].upper(),
        help=f"{setting.meaning} ({kind}{default})".replace("%", "%%"),
    )
