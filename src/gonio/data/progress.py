"""A progress bar on standard error, shown on a terminal only."""

from collections.abc import Iterable
from typing import TypeVar

import rich.progress
from rich.console import Console

T = TypeVar("T")


def track(items: Iterable[T], description: str, total: int) -> Iterable[T]:
    """Pass `items` through while a bar shows how many of `total` have passed."""
    console = Console(stderr=True)
    return rich.progress.track(
        items,
        description,
        total,
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
