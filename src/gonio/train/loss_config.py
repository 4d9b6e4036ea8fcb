"""A loss by name with plain settings, as a YAML file has them, checked against its signature."""

import difflib
import functools
import operator
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from gonio import losses
from gonio.errors import ConfigError
from gonio.rules import Annealing, Auto, Learned, Ramp, Schedule
from gonio.rules.scale import Scale

MADE_OF: dict[Any, tuple[type, ...]] = {Schedule: (Ramp, Annealing), Scale: (Learned, Auto)}
"""What a mapping may stand for where a setting has this type; the last that fits is taken."""

Mapped = dict[str, int | float | None]
"""Such as `{start: 0, end: 0.5, steps: 1000}`."""


@dataclass(frozen=True)
class LossConfig:
    """A row of the table of losses and the settings that differ from its defaults.

    Args:
        name: of the loss.
        settings: argument -> number, word or mapping. A mapping with the fields of a schedule, such
            as `{"start": 0, "end": 0.5, "steps": 1000}` for a `Ramp`, stands for it.

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
        except TypeError as error:
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
    """The settings with every schedule written as a mapping of its fields."""
    return {
        name: asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
        for name, value in settings.items()
    }


def plain_types(name: str) -> dict[str, Any]:
    """Setting -> type of its plain value, for the loss of this name."""
    row = losses.get(name)
    hints = get_type_hints(row.loss)
    return {setting: _plain_type(hints[setting]) for setting in row.defaults}


def _plain_type(hint: Any) -> Any:
    """The type with every rule replaced by the mapping that stands for it."""
    kinds = [Mapped if kind in MADE_OF else kind for kind in _alternatives(hint)]
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
