"""Plain values, as a file or a command line has them <-> what the types of settings ask for.

A mapping stands for a dataclass: a section, or a rule such as a `Ramp`, which is found by its fields.
"""

import dataclasses
import reprlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Self, TypeGuard, Union, get_args, get_origin

from gonio.base.errors import ConfigError, no_such
from gonio.rules import Annealing, Auto, Learned, PerClass, Quantity, Ramp, Schedule
from gonio.rules.scale import Scale
from gonio.settings.signature import Missing, settings_of

FORMS: dict[Any, tuple[type, ...]] = {
    Schedule: (Ramp, Annealing),
    Quantity: (PerClass,),
    Scale: (Learned, Auto),
}
"""What a mapping may stand for where a setting has this type; the last that fits is taken."""

SCALARS = {
    float: "a number",
    int: "a whole number",
    bool: "true or false",
    str: "text",
    NoneType: "null",
}
LARGEST = 3.4028234663852886e38
"""Of float32, which everything is computed in."""
WHOLE = range(-(2**63), 2**63)
"""Of int64, which everything is counted in."""


class Readable(ABC):
    """A section whose settings depend on its `name`."""

    @classmethod
    @abstractmethod
    def read(cls, values: Mapping[str, Any], path: str) -> Self:
        """From plain values.

        Raises:
            ConfigError: a value that cannot be used.
        """

    @abstractmethod
    def plain(self) -> dict[str, Any]:
        """The inverse of `read`."""


def fitted(value: Any, kind: Any, path: str) -> Any:
    """A plain value as its type asks for it.

    Args:
        value: a number, text, true, false, null, or lists and mappings of these.
        kind: a type of Python; of containers `tuple[X, ...]`, dataclasses and the keys of `FORMS`.
        path: name of the setting, such as `optimise.lr`.

    Raises:
        ConfigError: another type, or a number that no machine holds; it names the setting.
    """
    kinds = alternatives(kind, path)
    for one in kinds:
        if _holds(one, value):
            return float(value) if one is float else value
    if isinstance(value, list):
        for one in kinds:
            if get_origin(one) is tuple:
                return _items(value, get_args(one)[0], path)
    if isinstance(value, str):  # a section in one word is named by it
        value = next(({first_of(one): value} for one in kinds if takes_a_word(one)), value)
    forms = [one for one in kinds if isinstance(value, Mapping) and is_section(one)]
    found = [one for one in forms if _fits(value, one)] or (forms if len(forms) == 1 else [])
    if not found:
        raise ConfigError(f"{path}: got {shortly(value)}; it must be {spoken(kind)}{_limit(value)}")
    return made(found[-1], value, path)


def made(make: Callable[..., Any], values: Mapping[str, Any], path: str) -> Any:
    """What `make` makes of plain settings.

    Raises:
        ConfigError: an unknown setting, one that is missing, or one that is refused.
    """
    if _is_readable(make):
        return make.read(values, path)
    settings = settings_of(make)
    for name in values:
        if name not in settings:
            raise no_such("setting", joined(path, name), names_below(make, path))
    for name, setting in settings.items():
        if setting.default is Missing and name not in values:
            raise ConfigError(
                f"{joined(path, name)}: it is not given; it must be {spoken(setting.kind)}"
            )
    arguments = {
        name: fitted(value, settings[name].kind, joined(path, name))
        for name, value in values.items()
    }
    try:
        return make(**arguments)
    except ConfigError:
        raise
    except (ValueError, TypeError, ImportError) as error:
        names_it = str(error).partition(":")[0] in settings
        said = joined(path, str(error)) if names_it else f"{path}: {error}"
        raise ConfigError(said) from error


def plain(value: Any) -> Any:
    """The inverse of `fitted`: dataclasses as mappings of their fields."""
    if isinstance(value, Readable):
        return value.plain()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: plain(getattr(value, name)) for name in settings_of(type(value))}
    return list(value) if isinstance(value, tuple) else value


def alternatives(kind: Any, path: str) -> tuple[Any, ...]:
    """The types of which a value must have one, forms of rules instead of their protocols.

    Raises:
        ConfigError: a type that no plain value can have.
    """
    members = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    kinds = tuple(form for one in members for form in FORMS.get(one, (one,)))
    for one in kinds:
        if not (one in SCALARS or get_origin(one) in (Literal, tuple) or is_section(one)):
            raise ConfigError(
                f"{path}: its type {one} cannot be written in a file; a setting is a float, int, bool, "
                "str, None, Literal, gonio.rules.Number or a union of these"
            )
    return kinds


def is_section(kind: Any) -> bool:
    """Whether a mapping of settings stands for it."""
    return dataclasses.is_dataclass(kind)


def takes_a_word(kind: Any) -> bool:
    """Whether a section can be given in one word: the value of its first setting."""
    return is_section(kind) and str in alternatives(settings_of(kind)[first_of(kind)].kind, "")


def first_of(section: Any) -> str:
    """The setting that a word stands for."""
    return next(iter(settings_of(section)))


def spoken(kind: Any) -> str:
    """A type in words: "a number or 'auto'"."""
    kinds = sorted(alternatives(kind, ""), key=is_section)
    return " or ".join(dict.fromkeys(map(_spoken, kinds)))


def shortly(value: Any) -> str:
    """A value that was got, as it is shown."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = 80
    return "null" if value is None else short.repr(value)


def joined(path: str, name: str) -> str:
    """`optimise`, `lr` -> `optimise.lr`."""
    return f"{path}.{name}" if path else name


def names_below(make: Callable[..., Any], path: str) -> Iterator[str]:
    """The paths of all settings, those of sections included."""
    for name, setting in settings_of(make).items():
        yield joined(path, name)
        if is_section(setting.kind) and not _is_readable(setting.kind):
            yield from names_below(setting.kind, joined(path, name))


def _holds(kind: Any, value: Any) -> bool:
    if get_origin(kind) is Literal:
        return any(type(value) is type(one) and value == one for one in get_args(kind))
    if kind is float:
        return type(value) in (int, float) and abs(value) <= LARGEST
    return type(value) is kind and (kind is not int or value in WHOLE)


def _items(values: list[Any], kind: Any, path: str) -> tuple[Any, ...]:
    for place, value in enumerate(values):
        if not _holds(kind, value):
            fitted(value, kind, f"{path}[{place}]")
    return tuple(map(float, values)) if kind is float else tuple(values)


def _is_readable(kind: Any) -> TypeGuard[type[Readable]]:
    return isinstance(kind, type) and issubclass(kind, Readable)


def _fits(values: Mapping[str, Any], form: Any) -> bool:
    settings = settings_of(form)
    needed = {name for name, setting in settings.items() if setting.default is Missing}
    return bool(values) and needed <= values.keys() <= settings.keys()


def _spoken(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(map(repr, get_args(kind)))
    if get_origin(kind) is tuple:
        return f"a list of which each is {spoken(get_args(kind)[0])}"
    if _is_readable(kind):
        return "a name or {name: NAME, SETTING: VALUE}"
    if kind in SCALARS:
        return SCALARS[kind]
    word = "a name or " if takes_a_word(kind) else ""
    return f"{word}{{{', '.join(settings_of(kind))}}}"


def _limit(value: Any) -> str:
    """What a number that is refused may be too large for."""
    if type(value) is int and value not in WHOLE:
        return "; whole numbers have 64 bits"
    if type(value) is float and not abs(value) <= LARGEST:
        return f"; numbers are finite, up to {LARGEST:.2g}"
    return ""
