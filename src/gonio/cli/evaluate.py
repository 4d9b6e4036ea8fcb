"""`gonio evaluate`: trained runs side by side, on identities that they were not trained on."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import torch

from gonio.base.durable import write_json
from gonio.base.errors import DataError
from gonio.cli.configuration import read_config
from gonio.cli.output import show_columns
from gonio.cli.parser import Parser, add_import
from gonio.data import Images
from gonio.evaluate import report_table
from gonio.settings import check_output, check_path
from gonio.train.config import TrainConfig
from gonio.train.evaluation import evaluate_backbone, write_results
from gonio.train.export import load_backbone, read_model
from gonio.train.run_folder import RunFolder
from gonio.train.split import Fingerprint, open_images, open_split
from gonio.train.state import initial_backbone
from gonio.train.trainer import choose_device

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
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the reports as JSON, too")
    add_import(parser)
    chosen = parser.read(arguments)
    for path in chosen.runs:
        check_path("RUN", path)
    if chosen.data is not None:
        check_path("--data", chosen.data)
    if chosen.json is not None:
        check_output("--json", chosen.json)
    runs = _labelled([_read(Path(path), chosen.allowed) for path in dict.fromkeys(chosen.runs)])
    images_of = _opener(chosen.data)
    reports = {}
    for label, one in runs.items():
        backbone = load_backbone(one.folder.path, chosen.allowed).to(one.device)
        reports[label] = evaluate_backbone(backbone, images_of(one))
        other = None if chosen.data is None else Path(chosen.data).resolve().name
        write_results(one.folder, reports[label], other)
    if chosen.untrained:
        for label, one in _distinct(runs).items():
            backbone = initial_backbone(one.config.data, one.config.model, one.config.seed)
            reports[label] = evaluate_backbone(backbone.to(one.device), images_of(one))
    if chosen.json:
        write_json(chosen.json, {name: json.loads(one.to_json()) for name, one in reports.items()})
    show_columns(reports, report_table)


@dataclass(frozen=True)
class Trained:
    """A finished run."""

    folder: RunFolder
    config: TrainConfig
    data: Fingerprint

    @property
    def device(self) -> torch.device:
        """The best there is, unless the run was to stay on the CPU."""
        return choose_device("cpu" if self.config.device == "cpu" else "auto")


def _read(path: Path, allowed: Collection[str]) -> Trained:
    folder = RunFolder(path)
    about = read_model(folder)
    return Trained(folder, read_config(folder.config, allowed), about["data"])


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
        first.setdefault((one.config.data, one.config.model, one.config.seed), label)
    labels = list(first.values())
    return {"untrained" if len(labels) == 1 else f"untrained {one}": runs[one] for one in labels}


def _opener(source: str | None) -> Callable[[Trained], Images]:
    """What to evaluate a run on; data that several runs share are opened once."""
    split, whole = cache(open_split), cache(open_images)

    def images_of(run: Trained) -> Images:
        data = run.config.data
        if source is not None:
            return whole(replace(data, source=source))
        opened = split(data, run.config.seed)
        if opened.fingerprint != run.data:
            raise DataError(
                f"{data.source}: the data have changed since {run.folder.path} was trained, so that "
                "which identities it has not seen is not known; put them back, or name others by "
                "--data"
            )
        return opened.unseen

    return images_of
