"""The table: every named loss is one function with a docstring, and nothing else.

`@row` reads the signature (arguments, defaults) and the docstring (summary, equation, units, source),
so that the command line, the docs, the pictures and the tests all follow from that one place.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec

from gonio.equation import Loss
from gonio.errors import unknown_name

P = ParamSpec("P")


@dataclass(frozen=True)
class Row:
    """A named loss, and what its docstring says of it."""

    name: str
    """As it is typed: "am-softmax"."""
    loss: Callable[..., Loss]
    """The function; its arguments are the loss's settings."""
    summary: str
    equation: str
    arguments: dict[str, str]
    """Argument -> meaning, with its unit and range."""
    source: str

    @property
    def defaults(self) -> dict[str, object]:
        """Argument -> default."""
        parameters = inspect.signature(self.loss).parameters
        return {name: parameter.default for name, parameter in parameters.items()}


_ROWS: dict[str, Row] = {}


def row(function: Callable[P, Loss]) -> Callable[P, Loss]:
    """Enter a function that returns a loss into the table, under its name with hyphens.

    Raises:
        ValueError: its docstring lacks a part that the table shows.
    """
    name = function.__name__.replace("_", "-")
    _ROWS[name] = _parse(name, function)
    return function


def names() -> list[str]:
    """Every named loss, in the order of the survey."""
    return list(_ROWS)


def get(name: str) -> Row:
    """The row of a name.

    Raises:
        ConfigError: an unknown name; the message says which one may have been meant.
    """
    if name in _ROWS:
        return _ROWS[name]
    raise unknown_name("loss", name, _ROWS)


def _parse(name: str, function: Callable[..., Loss]) -> Row:
    text = inspect.cleandoc(function.__doc__ or "")
    summary, _, rest = text.partition("\n\n")
    body, _, source = rest.partition("\nSource:")
    equation, _, sections = body.partition("\nArgs:\n")
    indented = [line for line in equation.splitlines() if line.startswith("    ")]
    parsed = Row(
        name=name,
        loss=function,
        summary=" ".join(summary.split()),
        equation=inspect.cleandoc("\n" + "\n".join(indented)),
        arguments=_arguments(sections.partition("\n\n")[0]),
        source=" ".join(source.split()),
    )
    if not (parsed.summary and parsed.equation and parsed.source):
        raise ValueError(
            f"{name}: the docstring needs a summary, an indented equation and a source"
        )
    if set(parsed.arguments) != set(parsed.defaults):
        raise ValueError(f"{name}: the docstring and the signature name different arguments")
    return parsed


def _arguments(block: str) -> dict[str, str]:
    """The lines of an `Args:` section -> argument and meaning."""
    found: dict[str, str] = {}
    current = ""
    for line in block.splitlines():
        if line.startswith("    ") and not line.startswith("     "):
            current, _, line = line.strip().partition(": ")
            found[current] = line
        elif line.strip() and current:
            found[current] += " " + line.strip()
    return found
