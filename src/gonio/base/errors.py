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
    close = nearest(name, known)
    hint = f"did you mean {close!r}?" if close else ""
    if not close or len(known) <= MANY:
        hint = f"{hint} choose one of {', '.join(known)}".strip()
    return ConfigError(f"{kind}: {name!r} is unknown; {hint}")


def no_such(kind: str, name: str, known: Iterable[str]) -> ConfigError:
    """The error for an option or setting that there is not."""
    names = list(known)
    close = nearest(name, names)
    section = name.rpartition(".")[0]
    siblings = [one for one in names if one.rpartition(".")[0] == section] or names
    listed = ", ".join(siblings) if len(siblings) <= MANY else "what --help lists"
    hint = f"did you mean {close}?" if close else f"there is {listed or 'none'}"
    return ConfigError(f"{name}: there is no such {kind}; {hint}")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that may have been meant: `--batch-size` is near `--optimise.batch_size`."""

    def likeness(one: str) -> tuple[float, float]:
        last, whole = (_alike(one.split(".")[start:], name.split(".")[start:]) for start in (-1, 0))
        return last, whole

    close = max(known, key=likeness, default="")
    return close if close and likeness(close)[0] >= NEAR else None


def _alike(one: list[str], other: list[str]) -> float:
    """The share of the characters that two names have in common, but for case, - and _."""
    a, b = (".".join(parts).lower().replace("_", "-").lstrip("-") for parts in (one, other))
    return difflib.SequenceMatcher(None, a, b).ratio()


MANY = 12
"""Names that are listed whole even beside a near one."""

NEAR = 0.6
"""Share of the characters that two names must have in common."""
