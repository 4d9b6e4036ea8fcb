"""Parsers whose failures are one-line errors."""

import argparse
import difflib
from collections.abc import Iterable
from typing import NoReturn

from gonio.base.errors import ConfigError


class Parser(argparse.ArgumentParser):
    """Raises instead of exiting where arguments are wrong.

    Args:
        command: sub-command.
        description: one sentence.
        examples: command lines.
    """

    def __init__(self, command: str, description: str, examples: str) -> None:
        super().__init__(
            f"gonio {command}",
            description=description,
            epilog=f"examples:\n{examples}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Raise a `ConfigError`."""
        raise ConfigError(f"{message}; see {self.prog} --help")


def check_known(name: str, known: Iterable[str], kind: str) -> None:
    """Refuse a name that is not known, and say which one may have been meant.

    Raises:
        ConfigError: an unknown name.
    """
    choices = list(known)
    if name not in choices:
        close = difflib.get_close_matches(name, choices, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]}?" if close else "see gonio --help"
        raise ConfigError(f"{name}: there is no such {kind}; {hint}")
