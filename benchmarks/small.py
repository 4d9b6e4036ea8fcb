"""Heads of few classes, where a step is made of calls and not of products, beside their usual rivals.

python -m benchmarks.small                                  # everything, about two minutes
python -m benchmarks.small --classes 102 --dim 128 --threads 1 --rounds 2000
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from benchmarks import report
from benchmarks.contenders import MARGIN, SCALE, Case, Given, Step, metric_learning, of_module
from benchmarks.heads import size
from torch import nn

import gonio

BATCH = 128


@dataclass(frozen=True)
class Pair:
    """A loss of ours and a rival's, which is the same.

    Args:
        ours: from the numbers to the call that is measured.
        theirs: likewise.
        limit: classes -> the most that our time may be of theirs.
    """

    ours: Callable[[Given], Step]
    theirs: Callable[[Given], Step]
    limit: Callable[[int], float]


def head(given: Given, loss: gonio.Loss) -> Step:
    case = given.case
    made = gonio.Head(case.dim, case.classes, loss=loss)
    made.weight = nn.Parameter(given.weight)
    return of_module(made, given, made.weight)


def linear(given: Given) -> Step:
    layer = nn.Linear(given.case.dim, given.case.classes)
    layer.weight = nn.Parameter(given.weight)
    nn.init.zeros_(layer.bias)
    return of_module(lambda x, labels: F.cross_entropy(layer(x), labels), given, layer.weight)


PAIRS = {
    "arcface / pytorch-metric-learning": Pair(
        lambda given: head(given, gonio.losses.arcface(margin=MARGIN, scale=SCALE)),
        metric_learning,
        lambda classes: 1.0,
    ),
    "softmax / Linear + cross_entropy": Pair(
        lambda given: head(given, gonio.losses.softmax()),
        linear,
        lambda classes: 2.5 if classes < 1000 else 1.5,
    ),
}


def times(steps: list[Step], rounds: int) -> list[list[float]]:
    """Seconds of each in every round, in which each of them is called once."""
    found: list[list[float]] = [[] for _ in steps]
    for i in range(rounds + rounds // 10):
        for step, seconds in zip(steps, found, strict=True):
            begin = time.perf_counter()
            step()
            if i >= rounds // 10:
                seconds.append(time.perf_counter() - begin)
    return found


def row(name: str, case: Case, threads: int, rounds: int) -> str:
    """Of the table: both medians, and the median of the ratios of a round."""
    pair, given = PAIRS[name], case.make()
    torch.set_num_threads(threads)
    ours, theirs = times([pair.ours(given), pair.theirs(given)], rounds)
    ratio = statistics.median(own / their for own, their in zip(ours, theirs, strict=True))
    limit = pair.limit(case.classes)
    verdict = "met" if ratio <= limit else "**not met**"
    medians = " | ".join(f"{1e3 * statistics.median(found):.2f}" for found in (ours, theirs))
    sizes = f"{case.classes:,} | {case.dim} | {threads}"
    return f"| {name} | {sizes} | {medians} | {ratio:.2f} | ≤ {limit:.1f} | {verdict} |"


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    several = {"type": size, "nargs": "+", "metavar": "N"}
    made.add_argument("--classes", default=[102, 1000, 5000], **several)
    made.add_argument("--dim", default=[128, 512], help="of the embeddings", **several)
    made.add_argument("--threads", default=[1, 2], **several)
    made.add_argument("--rounds", type=size, default=300, help="in each, everybody once")
    return made


def main() -> None:
    asked = parser().parse_args()
    about = report.machine("cpu")
    del about["threads"]
    print(", ".join(f"{name} {value}" for name, value in about.items()), end=".")
    print(f" Batch {BATCH}, float32.\n")
    print("| | classes | dim | threads | ours ms | theirs ms | ratio | allowed | |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in PAIRS:
        for threads in asked.threads:
            for classes in asked.classes:
                for dim in asked.dim:
                    print(row(name, Case(classes, dim, BATCH), threads, asked.rounds), flush=True)


if __name__ == "__main__":
    main()
