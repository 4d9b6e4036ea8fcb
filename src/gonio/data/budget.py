"""How many pixels may be decoded at once, by all threads together."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class PixelBudget:
    """Pixels that decoders share: who finds too few left waits until others give theirs back.

    Args:
        pixels: In all; nobody may take more.
    """

    def __init__(self, pixels: int) -> None:
        self._left = pixels
        self._given_back = threading.Condition()

    @contextmanager
    def take(self, pixels: int) -> Iterator[None]:
        """Hold so many pixels."""
        with self._given_back:
            self._given_back.wait_for(lambda: pixels <= self._left)
            self._left -= pixels
        try:
            yield
        finally:
            with self._given_back:
                self._left += pixels
                self._given_back.notify_all()
