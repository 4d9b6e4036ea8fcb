"""Parsers whose failures are one-line errors."""

import argparse
from collections.abc import Sequence
from itertools import takewhile
from typing import NoReturn

from gonio.base.errors import ConfigError, no_such


class Parser(argparse.ArgumentParser):
    """Raises instead of exiting where arguments are wrong.

    Args:
        command: sub-command.
        description: one sentence.
        examples: command lines.
        usage: where the options are too many to be listed in one.
    """

    def __init__(
        self, command: str, description: str, examples: str, usage: str | None = None
    ) -> None:
        super().__init__(
            f"gonio {command}",
            usage=usage,
            description=description,
            epilog=f"examples:\n{examples}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def read(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Understand the arguments.

        Raises:
            ConfigError: an unknown option, or one that is missing or has no value.
            SystemExit: after `--help`.
        """
        known = [option for option in self._option_string_actions if option.startswith("--")]
        for argument in takewhile("--".__ne__, arguments):
            option = argument.partition("=")[0]
            if option.startswith("--") and option not in known:
                raise no_such(f"option of {self.prog}", option, known)
        return self.parse_args(arguments)

    def error(self, message: str) -> NoReturn:
        """Raise a `ConfigError`."""
        raise ConfigError(f"{message}; see {self.prog} --help")


def add_import(parser: argparse.ArgumentParser) -> None:
    """The option that allows to run code which a file names."""
    parser.add_argument(
        "--import",
        dest="allowed",
        action="append",
        default=[],
        metavar="MODULE[:NAME]",
        help="run code of your own that a file names: all of a module, or one name of it; may be repeated",
    )
