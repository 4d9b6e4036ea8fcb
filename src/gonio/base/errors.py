"""The failures that end a command, each with the exit code that a shell sees.

Bad arguments of library functions are plain `ValueError` and `TypeError`.
"""

import difflib
from collections.abc import Iterable


class GonioError(Exception):
    """A failure with a message for a person; the command line prints it in one line."""

    exit_code = 1


class ConfigError(GonioError, ValueError):
    """A setting, name or option that cannot be used."""

    exit_code = 2


class DataError(GonioError):
    """Data that cannot be read or does not hold what the job needs."""

    exit_code = 3


class CheckpointError(GonioError):
    """A run or checkpoint that is missing, damaged, or belongs to other settings."""

    exit_code = 4


def unknown_name(kind: str, name: str, choices: Iterable[str]) -> ConfigError:
    """The error for a name that is in no table; it says which one may have been meant."""
    known = list(choices)
    close = difflib.get_close_matches(name.lower().replace("_", "-"), known, n=1, cutoff=0.6)
    hint = f"did you mean {close[0]!r}?" if close else ""
    if not close or len(known) <= MANY:
        hint = f"{hint} choose one of {', '.join(known)}".strip()
    return ConfigError(f"{kind}: {name!r} is unknown; {hint}")


MANY = 12
"""Names that are listed whole even beside a near one."""
