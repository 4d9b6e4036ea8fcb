"""What a function or a dataclass can be told: its signature, with the words of its docstring."""

import dataclasses
import inspect
import re
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple, get_type_hints


class Missing:
    """The default of a setting that must be given."""


class Setting(NamedTuple):
    """What can be set under a name."""

    kind: Any
    """Its type."""
    default: Any
    meaning: str
    """With unit and range; empty where the docstring says nothing."""


@cache
def settings_of(make: Callable[..., Any]) -> dict[str, Setting]:
    """Name -> setting, in the order of the signature; of a dataclass its fields."""
    meanings, kinds = _meanings(make), get_type_hints(make)
    if dataclasses.is_dataclass(make):
        defaults = {one.name: _default(one) for one in dataclasses.fields(make) if one.init}
    else:
        parameters = inspect.signature(make).parameters.values()
        defaults = {
            one.name: Missing if one.default is one.empty else one.default for one in parameters
        }
    return {
        name: Setting(kinds[name], default, meanings.get(name, ""))
        for name, default in defaults.items()
    }


def _default(field: "dataclasses.Field[Any]") -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return Missing


def _meanings(make: Callable[..., Any]) -> dict[str, str]:
    """Argument -> what the docstring says of it, or that of a base."""
    found: dict[str, str] = {}
    for one in reversed(inspect.getmro(make) if isinstance(make, type) else (make,)):
        arguments = inspect.cleandoc(one.__doc__ or "").partition("Args:\n")[2].partition("\n\n")[0]
        found |= re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", arguments, re.MULTILINE)
    return {name: " ".join(meaning.split()).rstrip(".") for name, meaning in found.items()}
