"""`gonio evaluate`: trained runs side by side, on identities that they were not trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from gonio.base.durable import write_json
from gonio.cli.output import show_columns
from gonio.cli.parser import Parser, add_import
from gonio.evaluate import report_table
from gonio.runs.folder import RunFolder
from gonio.runs.results import Result, write_result
from gonio.settings import check_output, check_path
from gonio.train.trained import Trained, opener

EXAMPLES = """\
  gonio evaluate runs/glyphs-arcface-1
  gonio evaluate runs/glyphs-softmax-1 runs/glyphs-arcface-1 --untrained
  gonio evaluate runs/glyphs-arcface-1 --data digits --json report.json
"""


def run(arguments: Sequence[str]) -> None:
    """Evaluate runs, write the results into their folders, and show them side by side."""
    parser = Parser("evaluate", "Verify unseen identities with trained runs.", EXAMPLES)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folder of a run")
    parser.add_argument(
        "--data", help="all of another data set, instead of the identities that a run kept apart"
    )
    parser.add_argument(
        "--untrained", action="store_true", help="add the backbone as it was before training"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results as JSON, too")
    add_import(parser)
    chosen = parser.read(arguments)
    for path in chosen.runs:
        check_path("RUN", path)
    if chosen.data is not None:
        check_path("--data", chosen.data)
    if chosen.json is not None:
        check_output("--json", chosen.json)
    found = [Trained.read(path, chosen.allowed) for path in dict.fromkeys(chosen.runs)]
    runs = _labelled(found)
    sample_of = opener(chosen.data)
    results = {label: one.result(sample_of(one)) for label, one in runs.items()}
    untrained = _distinct(runs) if chosen.untrained else {}
    before = {label: one.result_before_training(sample_of(one)) for label, one in untrained.items()}
    if chosen.json:
        write_json(chosen.json, {label: asdict(one) for label, one in (results | before).items()})
    folders = {label: one.folder for label, one in runs.items()}
    keep_and_show(results | before, folders, is_own=chosen.data is None)


def keep_and_show(
    results: Mapping[str, Result], folders: Mapping[str, RunFolder], *, is_own: bool
) -> None:
    """Write results into the folders of their runs, and show them side by side, kept or not.

    Args:
        results: to show, by the names of their columns.
        folders: of those that are to be kept.
        is_own: whether they are those of the identities that each run kept apart.

    Raises:
        OSError: names the first file that could not be written; all others are.
    """
    failures = []
    for label, folder in folders.items():
        try:
            write_result(folder, results[label], is_own=is_own)
        except OSError as error:
            failures.append(error)
    try:
        show_columns(results, _table)
    finally:
        if failures:
            raise failures[0]


def _table(results: Mapping[str, Result]) -> Table:
    """Results, and on how many of their identities the models were trained."""
    return report_table(
        {label: one.report for label, one in results.items()},
        {label: len(one.trained_on) for label, one in results.items()},
    )


def _labelled(runs: Sequence[Trained]) -> dict[str, Trained]:
    """The runs by the names of their folders, or by their paths where two have the same name."""
    names = [one.folder.path.resolve().name for one in runs]
    if len(set(names)) < len(names):
        names = [str(one.folder.path) for one in runs]
    return dict(zip(names, runs, strict=True))


def _distinct(runs: Mapping[str, Trained]) -> dict[str, Trained]:
    """One run for each backbone that training began with, under the name of its column."""
    first: dict[tuple[object, ...], str] = {}
    for label, one in runs.items():
        first.setdefault((one.data, one.model.backbone, one.seed), label)
    labels = list(first.values())
    return {"untrained" if len(labels) == 1 else f"untrained {one}": runs[one] for one in labels}
