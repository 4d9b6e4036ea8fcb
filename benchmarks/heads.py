"""Time and memory of margin heads beside the bare matrix products and other libraries.

python -m benchmarks.heads                                  # everything, below ten minutes
python -m benchmarks.heads --classes 100000 --no-memory
python -m benchmarks.heads --markdown benchmarks/results/NAME.json
"""

import argparse
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from benchmarks import report
from benchmarks.contenders import CONTENDERS, FLOOR, Case, floor_memory, release
from benchmarks.measure import peak_in_a_new_process, times
from rich.console import Console

RESULTS = Path(__file__).parent / "results"
SECONDS = {10_000: 10.0, 100_000: 40.0}
"""For the rounds of a size; larger ones have the fewest rounds that tell anything."""


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--classes", type=int, nargs="+", default=[10_000, 100_000, 500_000])
    made.add_argument("--dim", type=int, default=512)
    made.add_argument("--batch", type=int, default=256)
    made.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    made.add_argument(
        "--only", nargs="+", metavar="NAME", help="contenders; the floor is always in"
    )
    made.add_argument("--no-memory", action="store_true", help="measure time alone")
    made.add_argument("--out", type=Path, help="a JSON file instead of one named after the machine")
    made.add_argument("--markdown", type=Path, metavar="FILE", help="print such a file as tables")
    return made


def main() -> None:
    arguments = parser().parse_args()
    if arguments.markdown:
        print(in_markdown(json.loads(arguments.markdown.read_text())))
        return
    console = Console(stderr=True)
    about = report.machine(arguments.device)
    names = [name for name, one in CONTENDERS.items() if one.is_there]
    if arguments.only:
        names = [name for name in names if name in {FLOOR, *arguments.only}]
    found = {"machine": about, "dim": arguments.dim, "batch": arguments.batch, "classes": {}}
    for classes in arguments.classes:
        case = Case(classes, arguments.dim, arguments.batch, arguments.device)
        with console.status(f"{classes:,} classes") as status:

            def tell(what: str, classes: int = classes) -> None:
                status.update(f"{classes:,} classes: {what}")

            seconds = times(case, names, SECONDS.get(classes, 0.0), tell)
            measured = (
                []
                if arguments.no_memory
                else [name for name in names if CONTENDERS[name].has_memory]
            )
            tell("memory")
            floor_memory.cache_clear()
            release()
            with ThreadPoolExecutor(2) as pool:  # each waits for a process of its own
                found_peaks = pool.map(partial(peak_in_a_new_process, case), measured)
                peaks = dict(zip(measured, found_peaks, strict=True))
        found["classes"][str(classes)] = report.rows_of(case, seconds, peaks)
        out = arguments.out or RESULTS / f"{report.slug(about['processor'])}.json"
        report.write(out, found)
    print(in_markdown(found))
    print(f"\nwritten: {out}", file=sys.stderr)


def in_markdown(found: dict) -> str:
    """The machine, the tables and the bars."""
    about = ", ".join(f"{name} {value}" for name, value in found["machine"].items())
    cases = {int(classes): rows for classes, rows in found["classes"].items()}
    tables = [
        report.table(Case(classes, found["dim"], found["batch"]), rows)
        for classes, rows in cases.items()
    ]
    sizes = f"Dimension {found['dim']}, batch {found['batch']}, float32 weights."
    return "\n\n".join([f"{about}. {sizes}", *tables, "### Bars", report.bars(cases)])


if __name__ == "__main__":
    main()
