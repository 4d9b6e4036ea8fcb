"""Results of a run: a report together with what it is of, so that no number stands alone."""

import contextlib
import hashlib
import json
import os
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unicodedata import normalize

from gonio.base.errors import CheckpointError, GonioError
from gonio.data import Fingerprint, Images
from gonio.evaluate import Report
from gonio.figures import style
from gonio.figures.verification import RocDisplay, ScoreHistogramDisplay
from gonio.runs.about import Environment
from gonio.runs.folder import RunFolder
from gonio.runs.records import read_record, write_record

SHORT = 8
"""Digits of a digest that stand in the name of a file."""


@dataclass(frozen=True)
class Result:
    """A report, and what it is of.

    Attributes:
        model: SHA-256 of the weights; None where they are those from before training.
        settings: of the run.
        source: what was evaluated: "glyphs", "digits", or the path of a folder.
        data: the images that were evaluated.
        trained_on: names of those of their identities that the model was trained on.
        environment: that it was computed in.
        report: the numbers.
    """

    model: str | None
    settings: dict[str, Any]
    source: str
    data: Fingerprint
    trained_on: tuple[str, ...]
    environment: Environment
    report: Report

    @property
    def is_of(self) -> tuple[str | None, Fingerprint]:
        """Model and data: results of others have files of their own."""
        return self.model, self.data


def trained_on(images: Images, identities: tuple[str, ...]) -> tuple[str, ...]:
    """Which of the identities of some images are, by name, among those that a model was trained on.

    A name is the same whether a disk spells its accents in one character or in two.
    """
    known = {normalize("NFC", name) for name in identities}
    return tuple(name for name in images.names if normalize("NFC", name) in known)


def write_result(folder: RunFolder, result: Result, *, is_own: bool) -> None:
    """Write a result and its two pictures; without matplotlib, a warning takes the pictures' place.

    A result of another model that has this place, such as that of fewer epochs, gets a name of its own.

    Args:
        folder: of the run.
        result: to write.
        is_own: whether it is that of the identities that the run kept apart.

    Raises:
        OSError: names a file that cannot be written.
    """
    name = "" if is_own else f"{Path(result.source).name}-{_digest(result.data)}"
    _put_aside(folder, name, result)
    write_record(folder.results(name), result)
    verification = result.report.verification
    scores, roc = folder.pictures(name)
    try:
        histogram = ScoreHistogramDisplay.from_verification(verification).plot()
        style.save(histogram.figure_, scores)
        curve = RocDisplay.from_verification(verification, name=folder.path.resolve().name).plot()
        style.save(curve.figure_, roc)
    except GonioError as error:
        warnings.warn(f"{folder.path}: no picture is drawn: {error}", stacklevel=2)


def read_result(path: Path) -> Result:
    """Read a file that `write_result` made.

    Raises:
        CheckpointError: a file that is missing, damaged or no result.
    """
    return read_record(Result, path)


def _put_aside(folder: RunFolder, name: str, result: Result) -> None:
    """Rename the files of the result that has the name, if it is one of another model or data."""
    path = folder.results(name)
    try:
        before = read_result(path)
    except CheckpointError:  # nothing is lost: it is none
        return
    if before.is_of == result.is_of or before.model is None:
        return
    old = f"{name and f'{name}-'}{before.model[:SHORT]}"
    for here, there in zip(folder.pictures(name), folder.pictures(old), strict=True):
        with contextlib.suppress(FileNotFoundError):
            os.replace(here, there)
    os.replace(path, folder.results(old))


def _digest(data: Fingerprint) -> str:
    return hashlib.sha256(json.dumps(asdict(data)).encode()).hexdigest()[:SHORT]
