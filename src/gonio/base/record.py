"""Frozen dataclasses of plain values to JSON and back, strictly: no NaN, no unknown field."""

import json
from dataclasses import asdict, fields, is_dataclass
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from gonio.base.errors import DataError

Record = TypeVar("Record")


def to_json(record: Any) -> str:
    """One line of JSON.

    Raises:
        ValueError: a number that is not finite.
    """
    return json.dumps(asdict(record), allow_nan=False) + "\n"


def from_json(kind: type[Record], text: str | bytes) -> Record:
    """The record that `to_json` wrote.

    Raises:
        DataError: text that is not JSON, or not of this kind.
    """
    return decode(kind, parsed(text, kind.__name__))


def parsed(text: str | bytes, where: str) -> Any:
    """The value of a JSON text, strictly.

    Args:
        text: JSON.
        where: it stands, for the error.

    Raises:
        DataError: text that is not JSON, or holds NaN.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not valid JSON: {error}") from error


def decode(kind: type[Record], value: Any) -> Record:
    """The record that `dataclasses.asdict` made a value of, tuples as lists.

    Raises:
        DataError: a value that is not of this kind.
    """
    record: Record = _decode(kind, value, kind.__name__)
    return record


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def _decode(kind: Any, value: Any, where: str) -> Any:
    if get_origin(kind) is UnionType:  # only `kind | None` occurs
        return None if value is None else _decode(get_args(kind)[0], value, where)
    if get_origin(kind) is tuple:  # only `tuple[kind, ...]` occurs
        _expect(isinstance(value, list), where, "a list", value)
        return tuple(
            _decode(get_args(kind)[0], one, f"{where}[{at}]") for at, one in enumerate(value)
        )
    if isinstance(kind, type) and is_dataclass(kind):
        names = [field.name for field in fields(kind)]
        is_complete = isinstance(value, dict) and set(value) == set(names)
        _expect(is_complete, where, f"exactly the fields {', '.join(names)}", value)
        hints = get_type_hints(kind)
        decoded = {name: _decode(hints[name], value[name], f"{where}.{name}") for name in names}
        return kind(**decoded)
    if get_origin(kind) is dict:  # only `dict[str, Any]` occurs
        _expect(isinstance(value, dict), where, "a mapping", value)
        return value
    if kind is float and type(value) is int:
        return float(value)
    _expect(type(value) is kind, where, f"a value of type {kind.__name__}", value)
    return value


def _expect(is_so: bool, where: str, wanted: str, value: object) -> None:
    if not is_so:
        got = f"the fields {', '.join(value)}" if isinstance(value, dict) else repr(value)
        raise DataError(f"{where}: got {got}; wanted is {wanted}")
