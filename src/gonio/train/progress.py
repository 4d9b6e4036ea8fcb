"""How a run goes, on standard error: a bar on a terminal, else a line now and then."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gonio.train.loop import Metrics

SILENCE = 10.0
"""Seconds between two lines where there is no terminal."""


class TrainingProgress:
    """Shows the steps of a run.

    Args:
        step: steps taken so far.
        steps: of the whole run.
    """

    def __init__(self, step: int, steps: int) -> None:
        self._console = Console(stderr=True)
        self._bar = Progress(
            BarColumn(bar_width=6),
            MofNCompleteColumn(),
            TextColumn("{task.fields[facts]}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("", total=steps, completed=step, facts="")
        self._start, self._steps = step, steps
        self._last_line = -SILENCE

    def show(self, metrics: Metrics, samples_per_second: float) -> None:
        """Show the newest metrics."""
        facts = (
            f"loss {metrics.loss:.3f}  acc {metrics.accuracy:.1%}  angle {metrics.angle_degrees:.1f}°  "
            f"{samples_per_second:,.0f} samples/s"
        )
        self._bar.update(self._task, completed=metrics.step, facts=facts)
        is_last = metrics.step == self._steps
        if self._bar.disable and (is_last or time.monotonic() - self._last_line >= SILENCE):
            self._last_line = time.monotonic()
            line = f"step {metrics.step}/{self._steps}  epoch {metrics.epoch}  {facts}"
            self._console.print(line, highlight=False, soft_wrap=True)

    def __enter__(self) -> "TrainingProgress":
        if self._start:
            line = f"going on after step {self._start} of {self._steps}"
            self._console.print(line, highlight=False, soft_wrap=True)
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()
