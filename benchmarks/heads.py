"""Time and memory of margin heads beside the bare matrix products and other libraries.

python -m benchmarks.heads                                  # everything, below ten minutes
python -m benchmarks.heads --classes 100000 --no-memory
python -m benchmarks.heads --classes 500000 --rounds 7 --only stash "plain eager"
python -m benchmarks.heads --markdown benchmarks/results/NAME.json

Figures are kept under benchmarks/results/ where nothing is narrowed down, else where --out says.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import torch
from benchmarks import report
from benchmarks.contenders import CONTENDERS, FLOOR, Case, floor_memory, release
from benchmarks.measure import LEAST_ROUNDS, peaks_in_a_new_process, times
from rich.console import Console

RESULTS = Path(__file__).parent / "results"
DIM = 512
SIZES: dict[str, dict[str, Any]] = {
    "cpu": {"classes": [10_000, 100_000, 500_000], "batch": 256, "dtype": "float32"},
    "cuda": {"classes": [100_000, 1_000_000, 10_000_000], "batch": 4096, "dtype": "bfloat16"},
}
"""What is measured where nothing else is asked for."""
SECONDS = {10_000: 10.0, 100_000: 50.0, 500_000: 230.0}
"""For the rounds of a size; others have the fewest rounds that tell anything."""


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    usual = ", ".join(map(str, SIZES[device]["classes"]))
    made.add_argument("--device", choices=list(SIZES), default=device, help=f"here {device}")
    made.add_argument("--classes", type=size, nargs="+", metavar="N", help=f"here {usual}")
    made.add_argument("--dim", type=size, default=DIM, help=f"of the embeddings; {DIM}")
    made.add_argument("--batch", type=size, help=f"samples; here {SIZES[device]['batch']}")
    made.add_argument("--dtype", choices=["float32", "bfloat16"], help="of weight and embeddings")
    least = f"at least so many; {LEAST_ROUNDS}"
    made.add_argument("--rounds", type=size, default=LEAST_ROUNDS, help=least)
    made.add_argument(
        "--budget-seconds", type=float, help="more rounds while they fit into this, for each size"
    )
    made.add_argument(
        "--only",
        nargs="+",
        metavar="NAME",
        choices=list(CONTENDERS),
        help="contenders; the floor is always in: " + ", ".join(map(repr, CONTENDERS)),
    )
    made.add_argument("--no-memory", action="store_true", help="measure time alone")
    made.add_argument(
        "--out", type=Path, help="a JSON file; that of the machine if everything is measured"
    )
    made.add_argument("--markdown", type=Path, metavar="FILE", help="print such a file as tables")
    return made


def size(text: str) -> int:
    """A whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number >= 1")
    return int(text)


def main() -> None:
    asked_for = parser()
    arguments = asked_for.parse_args()
    if arguments.markdown and not arguments.markdown.is_file():
        asked_for.error(f"--markdown: there is no file {arguments.markdown}")
    if arguments.markdown:
        print(in_markdown(json.loads(arguments.markdown.read_text())))
        return
    device, usual = arguments.device, SIZES[arguments.device]
    batch, dtype = arguments.batch or usual["batch"], arguments.dtype or usual["dtype"]
    console = Console(stderr=True)
    about = report.machine(device)
    asked = {FLOOR, *arguments.only} if arguments.only else set(CONTENDERS)
    missing = {
        name: why
        for name, one in CONTENDERS.items()
        if name in asked and (why := one.missing(device))
    }
    names = [name for name in CONTENDERS if name in asked - set(missing)]
    sizes = {"device": device, "dtype": dtype, "dim": arguments.dim, "batch": batch}
    found: dict[str, Any] = {"machine": about, **sizes, "classes": {}, "skipped": {}}
    out = arguments.out or _place(arguments, about["processor"])
    asked_classes = sorted(arguments.classes or usual["classes"])
    cases = [Case(classes, arguments.dim, batch, device, dtype) for classes in asked_classes]
    for case in cases:
        budget = arguments.budget_seconds
        if budget is None:
            budget = SECONDS.get(case.classes, 0.0)
        with console.status(f"{case.classes:,} classes") as status:

            def tell(what: str, classes: int = case.classes) -> None:
                status.update(f"{classes:,} classes: {what}")

            seconds, failed = times(case, names, arguments.rounds, budget, tell)
        found["skipped"][str(case.classes)] = missing | failed
        found["classes"][str(case.classes)] = report.times_of(case, seconds)
        floor_memory.cache_clear()
        release()
    if not arguments.no_memory:
        with console.status("memory") as status:
            for name, peaks, why in memory(names, cases):
                status.update(f"memory: {name}")
                report.add_memory(found, name, peaks, why)
    print(in_markdown(found))
    if out:
        report.write(out, found)
        print(f"\nwritten: {out}", file=sys.stderr)


def _place(arguments: argparse.Namespace, processor: str) -> Path | None:
    """Where the figures of a machine are kept, if everything is measured."""
    narrowed = ("classes", "batch", "dtype", "only")
    if arguments.no_memory or arguments.dim != DIM or any(getattr(arguments, n) for n in narrowed):
        return None
    return RESULTS / f"{report.slug(processor)}.json"


def memory(names: list[str], cases: list[Case]) -> Iterator[tuple[str, dict[int, float], str]]:
    """Each contender, and what `peaks_in_a_new_process` says of it."""
    measured = [name for name in names if CONTENDERS[name].has_memory]
    # each waits for a process of its own; a GPU's memory is for one of them
    with ThreadPoolExecutor(2 if cases[0].device == "cpu" else 1) as pool:
        found = pool.map(partial(peaks_in_a_new_process, cases=cases), measured)
        for name, (peaks, why) in zip(measured, found, strict=True):
            yield name, peaks, why


def in_markdown(found: dict[str, Any]) -> str:
    """The machine, the tables and the bars."""
    about = ", ".join(f"{name} {value}" for name, value in found["machine"].items())
    cases = {int(classes): rows for classes, rows in found["classes"].items()}
    tables = [
        report.table(classes, rows, found["skipped"][str(classes)])
        for classes, rows in cases.items()
    ]
    sizes = f"Dimension {found['dim']}, batch {found['batch']}, {found['dtype']} weights."
    bars = report.bars(cases, found["device"])
    return "\n\n".join([f"{about}. {sizes}", *tables, *(["### Bars", bars] if bars else [])])


if __name__ == "__main__":
    main()
