"""Reads what people pass for a setting, by the setting's type: the one place where that is looked at.

The arguments of a row and the fields of a rule are read alike. What is none of the type's kinds, or out
of its range, is refused by the setting's own name; a number of numpy, or in a tensor of no dimension,
becomes a plain one.
"""

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Protocol, Union, get_args, get_origin, get_type_hints

import numpy as np
import torch

from gonio.base.numbers import brief, real_number, whole_number
from gonio.rules.ranges import Range, Varying


def read_setting(name: str, value: Any, kind: Any) -> Any:
    """What was passed for a setting of a type -> what to compute with.

    Raises:
        TypeError: what is none of its kinds.
        ValueError: an unknown word, or a number out of range.
    """
    if get_origin(kind) is Annotated:
        inner, *notes = get_args(kind)
        found = read_setting(name, value, inner)
        for note in notes:
            if isinstance(note, Range) and isinstance(found, int | float | Varying):
                note.check(name, found)
        return found
    if get_origin(kind) in (Union, UnionType):
        for one in get_args(kind):
            try:
                return read_setting(name, value, one)
            except TypeError:
                continue
    elif get_origin(kind) is Literal:
        if type(value) in map(type, get_args(kind)):
            one_of(name, value, get_args(kind))
            return value
    elif kind is float:
        return real_number(name, value)
    elif kind is int:
        return whole_number(name, value)
    elif kind is bool:
        if isinstance(value, bool | np.bool_):
            return bool(value)
    elif not isinstance(kind, type) or kind is Any or _is_one(value, kind):
        return value
    raise TypeError(f"{name}: got {brief(value)}; give {' or '.join(_offers(kind))}")


def _is_one(value: object, kind: type) -> bool:
    """Whether a value is of a class; a protocol asks for a part of a loss, which is a dataclass."""
    if Protocol in kind.__bases__:
        return is_dataclass(value) and not isinstance(value, type | Varying)
    return isinstance(value, kind)


def _offers(kind: Any) -> Iterator[str]:
    """What a setting of a type may be, in words."""
    if get_origin(kind) is Annotated:
        yield from _offers(get_args(kind)[0])
    elif get_origin(kind) in (Union, UnionType):
        for one in get_args(kind):
            yield from _offers(one)
    elif get_origin(kind) is Literal:
        yield from map(repr, get_args(kind))
    elif isinstance(kind, type) and issubclass(kind, Varying):
        yield f"a {kind.__name__.lower()} such as {kind.example}"
    else:
        yield IN_PLAIN.get(kind, getattr(kind, "__name__", str(kind)))


IN_PLAIN = {
    float: "a number",
    int: "a whole number",
    bool: "True or False",
    str: "a word",
    NoneType: "None",
}


@functools.cache
def kinds_of(owner: Any) -> Mapping[str, Any]:
    """Setting -> type, of a function or a dataclass."""
    return get_type_hints(owner, include_extras=True)


class Checked:
    """A frozen dataclass whose fields are read by their types when it is made."""

    def __post_init__(self) -> None:
        if torch.compiler.is_compiling():  # it is made of settings that were read before
            return
        owner: Any = type(self)
        kinds = kinds_of(owner)
        for field in fields(self):  # type: ignore[arg-type]
            value = read_setting(field.name, getattr(self, field.name), kinds[field.name])
            object.__setattr__(self, field.name, value)


def one_of(name: str, value: object, choices: Iterable[object]) -> None:
    """Refuse a word that is not among the choices.

    Raises:
        ValueError: names the setting and the choices.
    """
    if value not in (allowed := list(choices)):
        raise ValueError(f"{name}: {brief(value)} is unknown; choose one of {allowed}")
