"""Facts of a run as JSON files, read strictly: a file is what it should be, or it is named and refused."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from gonio.base.durable import write_json
from gonio.base.errors import CheckpointError, DataError
from gonio.base.record import decode, parsed

FORMAT = 2

Record = TypeVar("Record")


class DamagedError(CheckpointError):
    """A file that is not what was written."""


def write_record(path: Path, record: Any) -> None:
    """Write a dataclass of plain values as indented JSON."""
    write_json(path, {"format": FORMAT} | asdict(record))


def read_record(kind: type[Record], path: Path) -> Record:
    """Read it.

    Raises:
        DamagedError: a file that is missing or holds something else.
        CheckpointError: a file of a newer format.
    """
    try:
        value = parsed(path.read_bytes(), kind.__name__)
        if not isinstance(value, dict):
            raise DataError(f"{kind.__name__}: got {value!r:.50}; wanted is a mapping")
        found = value.pop("format", None)
        if type(found) is int and found > FORMAT:
            raise CheckpointError(f"{path} is of a newer format; a newer gonio wrote it, use that")
        if found != FORMAT:
            raise DataError(f"{kind.__name__}.format: got {found!r:.50}; wanted is {FORMAT}")
        return decode(kind, value)
    except FileNotFoundError as error:
        raise DamagedError(f"{path} does not exist; put it back from a copy") from error
    except DataError as error:
        raise DamagedError(f"{path} is damaged: {error}; put it back from a copy") from error
