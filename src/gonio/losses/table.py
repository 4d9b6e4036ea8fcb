"""The table: every named loss is one function with a docstring, and nothing else.

`@row` reads the signature (arguments, defaults) and the docstring (summary, equation, units, source),
so that the command line, the docs, the pictures and the tests all follow from that one place. A
function of the user's own is a row under `module:function`, with as much as its docstring says.
"""

import functools
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ParamSpec, get_type_hints

from gonio.base.errors import ConfigError, unknown_name
from gonio.base.importing import imported, said
from gonio.loss import Loss
from gonio.rules.reading import kinds_of, read_setting

P = ParamSpec("P")


@dataclass(frozen=True)
class Row:
    """A named loss, and what its docstring says of it."""

    name: str
    """As it is typed: "am-softmax", or "my_losses:my_loss" for one of the user's own."""
    loss: Callable[..., Loss]
    """The function; its arguments are the loss's settings."""
    summary: str
    equation: str
    arguments: dict[str, str]
    """Argument -> meaning, with its unit and range."""
    source: str

    @property
    def family(self) -> str:
        """What the file of the function says that its losses have in common."""
        return (sys.modules[self.loss.__module__].__doc__ or "").partition("\n\n")[0]

    @property
    def defaults(self) -> dict[str, object]:
        """Argument -> default."""
        parameters = inspect.signature(self.loss).parameters
        return {name: parameter.default for name, parameter in parameters.items()}


_ROWS: dict[str, Row] = {}


def row(function: Callable[P, Loss]) -> Callable[P, Loss]:
    """Enter a function that returns a loss into the table, under its name with hyphens.

    Its settings are then read by their types, and refused by their names.

    Raises:
        ValueError: its docstring lacks a part that the table shows.
    """
    name = function.__name__.replace("_", "-")
    checked = _reading_settings(function)
    _ROWS[name] = _complete(_read(name, checked))
    return checked


def _reading_settings(function: Callable[P, Loss]) -> Callable[P, Loss]:
    """The function, whose arguments are read by the types of its signature."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def reading(*args: P.args, **kwargs: P.kwargs) -> Loss:
        given, kinds = signature.bind(*args, **kwargs), kinds_of(function)
        for name, value in given.arguments.items():
            given.arguments[name] = read_setting(name, value, kinds.get(name, object))
        return function(*given.args, **given.kwargs)

    return reading


def names() -> list[str]:
    """Every named loss, in the order of the survey."""
    return list(_ROWS)


def names_code(name: str) -> bool:
    """Whether its row is made by importing a module."""
    return name not in _ROWS and ":" in name


def get(name: str) -> Row:
    """The row of a name.

    Args:
        name: of the table, or `module:function` for a function of an installed module, or of one in
            the current folder, whose return type is `Loss`; importing it runs the module, so a name that
            a file gives is held against `gonio.base.importing.check_allowed` first.

    Raises:
        ConfigError: an unknown name; the message says which one may have been meant. Or a function
            that cannot be imported, whose settings lack a type or a default, or that makes no loss.
    """
    if name in _ROWS:
        return _ROWS[name]
    if names_code(name):
        return _imported(name)
    raise unknown_name("loss", name, _ROWS)


def _imported(name: str) -> Row:
    """The row of `module:function`."""
    try:
        function = imported(name, (name,))
    except ConfigError as error:
        raise ConfigError(f"loss: {error}") from error
    if not inspect.isfunction(function):
        raise ConfigError(
            f"loss: {name} is a {type(function).__name__}; name a function that returns a gonio.Loss"
        )
    try:
        hints, signature = get_type_hints(function), inspect.signature(function)
    except (NameError, TypeError, ValueError) as error:
        raise ConfigError(f"loss: {name}: its settings cannot be read: {said(error)}") from error
    for one in signature.parameters.values():
        if one.default is one.empty or one.name not in hints:
            raise ConfigError(
                f"loss: {name}: its setting {one.name!r} needs a type and a default, as in "
                "'margin: float = 0.35'"
            )
    if hints.get("return") is not Loss:  # whatever else it may do is not tried
        raise ConfigError(
            f"loss: {name}: it does not say that it returns a gonio.Loss; write "
            f"'def {function.__name__}(...) -> gonio.Loss'"
        )
    found = _read(name, _making_a_loss(name, _reading_settings(function)))
    found.loss()
    meanings = {setting: found.arguments.get(setting, "") for setting in found.defaults}
    return replace(found, arguments=meanings)


def _making_a_loss(name: str, function: Callable[..., Any]) -> Callable[..., Loss]:
    """A function of the user's own, whose failures are one-line errors."""

    @functools.wraps(function)
    def checked(*args: object, **settings: object) -> Loss:
        try:
            loss = function(*args, **settings)
        except Exception as error:
            given = f"fails with {settings}" if settings else "fails"
            raise ConfigError(f"loss: {name} {given}: {said(error)}") from error
        if not isinstance(loss, Loss):
            raise ConfigError(
                f"loss: {name} returns a value of the type {type(loss).__name__}; it must return a "
                "gonio.Loss"
            )
        return loss

    return checked


def _read(name: str, function: Callable[..., Loss]) -> Row:
    """What the docstring says; empty where it does not."""
    text = inspect.cleandoc(function.__doc__ or "")
    summary, _, rest = text.partition("\n\n")
    body, _, source = f"\n{rest}".partition("\nSource:")
    equation, _, sections = body.partition("\nArgs:\n")
    indented = [line for line in equation.splitlines() if line.startswith("    ")]
    return Row(
        name=name,
        loss=function,
        summary=" ".join(summary.split()),
        equation=inspect.cleandoc("\n" + "\n".join(indented)),
        arguments=_arguments(sections.partition("\n\n")[0]),
        source=" ".join(source.split()),
    )


def _complete(row: Row) -> Row:
    """The row, if its docstring says all that the table shows."""
    if not (row.summary and row.equation and row.source):
        raise ValueError(
            f"{row.name}: the docstring needs a summary, an indented equation and a source"
        )
    if set(row.arguments) != set(row.defaults):
        raise ValueError(f"{row.name}: the docstring and the signature name different arguments")
    return row


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
