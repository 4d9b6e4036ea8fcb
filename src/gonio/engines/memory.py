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
        if _is_named(error):
            raise
        raise torch.OutOfMemoryError(_message(what, size, mend, error)) from error
    except (MemoryError, RuntimeError) as error:
        is_memory = isinstance(error, MemoryError) or "can't allocate memory" in str(error)
        if _is_named(error) or not is_memory:
            raise
        raise MemoryError(_message(what, size, mend, error)) from error


PREFIX = "out of memory: "


def _is_named(error: Exception) -> bool:
    """Whether something within has said already what needed the memory."""
    return str(error).startswith(PREFIX)


def _message(what: str, size: int, mend: str, error: Exception) -> str:
    first = (str(error) or type(error).__name__).splitlines()[0]
    return f"{PREFIX}{what} needs {size / 2**20:,.0f} MiB; {mend} ({first})"
