"""Metrics of a run, one JSON object per line."""

import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from gonio.base.durable import naming, write_bytes


class MetricsFile:
    """A file of lines to add to; what lies beyond the step it goes on from is dropped.

    A damaged line before that stays as it is, with a warning.

    Args:
        path: of the file.
        step: steps taken so far.
    """

    def __init__(self, path: Path, step: int) -> None:
        self._path = path
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        steps = [_step_of(line) for line in lines]
        kept = max(
            (at for at, one in enumerate(steps, 1) if one is not None and one <= step), default=0
        )
        if damaged := [at for at, one in enumerate(steps[:kept], 1) if one is None]:
            warnings.warn(
                f"{path}: line {', '.join(map(str, damaged))} is damaged, and kept as it is; "
                "mend it or take it out before the file is read",
                stacklevel=2,
            )
        write_bytes(path, b"".join(lines[:kept]))
        self._file = path.open("a", encoding="utf-8")

    def add(self, metrics: Mapping[str, float]) -> None:
        """Add a line."""
        with naming(self._path):
            self._file.write(json.dumps(metrics, allow_nan=False) + "\n")
            self._file.flush()

    def sync(self) -> None:
        """Wait until all lines are on the disk."""
        with naming(self._path):
            os.fsync(self._file.fileno())

    def __enter__(self) -> "MetricsFile":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with naming(self._path):
            self._file.close()


def _step_of(line: bytes) -> float | None:
    """The step of a line; None where it is damaged."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
