"""Metrics of a run, one JSON object per line."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from types import TracebackType

from gonio.base.durable import write_text
from gonio.train.loop import Metrics


class MetricsFile:
    """A file of lines to add to; what lies beyond the step it goes on from is dropped.

    Args:
        path: of the file.
        step: steps taken so far.
    """

    def __init__(self, path: Path, step: int) -> None:
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        write_text(path, "".join(f"{line}\n" for line in lines if _step_of(line) <= step))
        self._file = path.open("a", encoding="utf-8")

    def add(self, metrics: Metrics, samples_per_second: float) -> None:
        """Add a line."""
        line = asdict(metrics) | {"samples_per_second": round(samples_per_second, 1)}
        self._file.write(json.dumps(line, allow_nan=False) + "\n")
        self._file.flush()

    def sync(self) -> None:
        """Wait until all lines are on the disk."""
        os.fsync(self._file.fileno())

    def __enter__(self) -> "MetricsFile":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()


def _step_of(line: str) -> float:
    """The step of a line; infinite where a crash left half of it."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")
