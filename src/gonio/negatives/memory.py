"""When memory runs out: what needed how much, and which setting needs less."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def needing(what: str, size: int, mend: str) -> Iterator[None]:
    """Around what allocates `size` bytes.

    Raises:
        MemoryError: on the CPU.
        torch.OutOfMemoryError: elsewhere.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise torch.OutOfMemoryError(_message(what, size, mend, error)) from error
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "can't allocate memory" not in str(error):
            raise
        raise MemoryError(_message(what, size, mend, error)) from error


def _message(what: str, size: int, mend: str, error: Exception) -> str:
    first = (str(error) or type(error).__name__).splitlines()[0]
    return f"out of memory: {what} needs {size / 2**20:,.0f} MiB; {mend} ({first})"
