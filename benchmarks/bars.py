"""What gonio promises of its heads, on two cores and on a GPU, and whether a run keeps it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Rows = dict[str, dict[str, Any]]
"""Contender -> its figures, for one number of classes."""


@dataclass(frozen=True)
class Bar:
    """A figure that must not be above (or below) a limit."""

    text: str
    classes: int
    measured: Callable[[Rows], float]
    limit: float
    is_least: bool = False
    device: str = "cpu"

    def is_met(self, value: float) -> bool:
        return value >= self.limit if self.is_least else value <= self.limit


def times_the_floor(name: str) -> Callable[[Rows], float]:
    return lambda rows: rows[name]["ratio"]


def faster_than(peer: str, name: str) -> Callable[[Rows], float]:
    return lambda rows: rows[peer]["ratio"] / rows[name]["ratio"]


def extra_share(name: str, share: float = 0.02, least: float = 32e6) -> Callable[[Rows], float]:
    """Extra memory beside what is allowed: a share of the float32 scores, or a least number of bytes."""
    return lambda rows: rows[name]["extra_bytes"] / max(share * rows[name]["score_bytes"], least)


BARS = [
    Bar("stash, times 3 products", 100_000, times_the_floor("stash"), 1.30),
    Bar("stash, times 3 products", 500_000, times_the_floor("stash"), 1.45),
    Bar("recompute, times 3 products", 100_000, times_the_floor("recompute"), 1.55),
    Bar("recompute, times 3 products", 500_000, times_the_floor("recompute"), 1.55),
    *(
        Bar(f"{name}, times 3 products", classes, times_the_floor(name), 0.80)
        for name in ("stash, bf16", "stash, bf16 + attached SGD")
        for classes in (100_000, 500_000)
    ),
    *(
        Bar(
            f"{name}, times faster than pytorch-metric-learning",
            classes,
            faster_than("pytorch-metric-learning", name),
            limit,
            is_least=True,
        )
        for name in ("stash", "stash, bf16")
        for classes, limit in ((100_000, 4.0), (500_000, 5.0))
    ),
    *(
        Bar(f"{name}, extra memory / allowed", classes, extra_share(name), 1.0)
        for name in (
            "stash",
            "recompute",
            "stash, bf16",
            "stash + attached SGD",
            "stash, bf16 + attached SGD",
        )
        for classes in (10_000, 100_000, 500_000)
    ),
    Bar(
        "kernels, stash, bf16, times 3 products",
        1_000_000,
        times_the_floor("kernels, stash, bf16"),
        1.25,
        device="cuda",
    ),
    Bar(
        "kernels, recompute, bf16, times 4 products",
        1_000_000,
        faster_than("kernels, recompute, bf16", "4 products"),
        1.25,
        device="cuda",
    ),
    Bar(
        "kernels, recompute, bf16, extra memory / allowed",
        1_000_000,
        extra_share("kernels, recompute, bf16", share=0.01, least=0),
        1.0,
        device="cuda",
    ),
]
