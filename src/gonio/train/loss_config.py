"""A loss by name with plain settings, as a YAML file has them, checked against its signature."""

import difflib
import functools
import operator
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from gonio import losses
from gonio.base.errors import ConfigError
from gonio.rules import Annealing, Auto, Learned, PerClass, Quantity, Ramp, Schedule
from gonio.rules.scale import Scale

MADE_OF: dict[Any, tuple[type, ...]] = {
    Schedule: (Ramp, Annealing),
    Quantity: (PerClass,),
    Scale: (Learned, Auto),
}
"""What a mapping may stand for where a setting has this type; the last that fits is taken."""

Mapped = dict[str, int | float | list[float] | None]
"""Such as `{start: 0, end: 0.5, steps: 1000}`, or `{values: [0.3, 0.4]}`."""

PLAIN = (int, float, bool, str, NoneType)
"""Types of settings that can be written as they are."""


@dataclass(frozen=True)
class LossConfig:
    """A row of the table of losses and the settings that differ from its defaults.

    Args:
        name: of the loss, as `gonio.losses.get` takes it.
        settings: argument -> number, word or mapping. A mapping with the fields of a rule, such as
            `{"start": 0, "end": 0.5, "steps": 1000}` for a `Ramp`, stands for it.

    Raises:
        ConfigError: an unknown name or setting, or a value that the loss refuses.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        row = losses.get(self.name)
        for setting in self.settings:
            if setting not in row.defaults:
                close = difflib.get_close_matches(setting, row.defaults, n=1)
                hint = f"did you mean {close[0]!r}? " if close else ""
                known = ", ".join(row.defaults) or "none"
                raise ConfigError(
                    f"loss.{setting}: {self.name!r} has no such setting; {hint}its settings: {known}"
                )
        try:
            row.loss(**self.arguments())
        except ConfigError:
            raise
        except (AttributeError, TypeError) as error:  # a word where a rule was asked for
            raise ConfigError(
                f"loss: {dict(self.settings)} are of a wrong type: {error}"
            ) from error
        except ValueError as error:
            raise ConfigError(f"loss.{error}") from error

    def arguments(self) -> dict[str, Any]:
        """The settings as the loss's function takes them.

        Raises:
            ValueError: a mapping that stands for nothing, or for something out of its range.
        """
        hints = get_type_hints(losses.get(self.name).loss)
        return {name: _made(name, value, hints[name]) for name, value in self.settings.items()}

    def to_dict(self) -> dict[str, Any]:
        """The name and every setting, defaults included, as plain values."""
        defaults = losses.get(self.name).defaults
        return {"name": self.name} | plain(defaults) | plain(self.settings)


def plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with every rule written as a mapping of its fields."""
    return {
        name: asdict(value, dict_factory=_listed)
        if is_dataclass(value) and not isinstance(value, type)
        else value
        for name, value in settings.items()
    }


def _listed(items: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in items}


def plain_types(name: str) -> dict[str, Any]:
    """Setting -> type of its plain value, for the loss of this name.

    Raises:
        ConfigError: a setting of a type that has no plain value.
    """
    row = losses.get(name)
    hints = get_type_hints(row.loss)
    return {setting: _plain_type(setting, hints[setting]) for setting in row.defaults}


def _plain_type(name: str, hint: Any) -> Any:
    """The type with every rule replaced by the mapping that stands for it."""
    kinds = [Mapped if kind in MADE_OF else kind for kind in _alternatives(hint)]
    for kind in kinds:
        if kind not in (*PLAIN, Mapped) and get_origin(kind) is not Literal:
            raise ConfigError(
                f"loss.{name}: its type {kind} cannot be written in a file; a setting is a float, int, "
                "bool, str, None, Literal, gonio.rules.Number or a union of these"
            )
    return functools.reduce(operator.or_, dict.fromkeys(kinds))


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _made(name: str, value: Any, hint: Any) -> Any:
    """A plain value -> what the signature asks for."""
    if not isinstance(value, Mapping):
        return value
    kinds = [made for kind in _alternatives(hint) for made in MADE_OF.get(kind, ())]
    for kind in reversed(kinds):
        known = {one.name for one in fields(kind)}
        needed = {one.name for one in fields(kind) if one.default is MISSING}
        if value and needed <= set(value) <= known:
            try:
                return kind(**value)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
    forms = " or ".join(f"{{{', '.join(one.name for one in fields(kind))}}}" for kind in kinds)
    raise ValueError(
        f"{name}: got {dict(value)}; "
        + (f"a mapping has the fields {forms}" if forms else "no mapping is allowed")
    )
