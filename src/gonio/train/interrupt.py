"""Ctrl-C, `kill` and a closed terminal as a wish to stop at the next step; the second one stops at once."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from gonio.base.errors import GonioError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(GonioError):
    """A run that a signal ended after its state was saved."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


@contextmanager
def catch_signals() -> Iterator[Callable[[], int | None]]:
    """Within the context, tell which of SIGINT, SIGTERM and SIGHUP came, if any.

    One that is ignored, such as SIGHUP under `nohup`, stays so. Outside the main thread no signal can be
    caught, and none is.
    """
    caught: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        caught.append(number)
        for one, handler in before.items():
            signal.signal(one, handler)

    before = {}
    if threading.current_thread() is threading.main_thread():
        heard = [one for one in SIGNALS if signal.getsignal(one) is not signal.SIG_IGN]
        before = {one: signal.signal(one, note) for one in heard}
    try:
        yield lambda: caught[0] if caught else None
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
