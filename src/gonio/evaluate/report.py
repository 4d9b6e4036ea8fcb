"""One result of evaluating embeddings, kept as a JSON file."""

import os
from dataclasses import dataclass
from pathlib import Path

from gonio.base import record
from gonio.base.durable import write_text
from gonio.base.errors import DataError
from gonio.evaluate.angles import Angles, angles
from gonio.evaluate.samples import Array, prepare
from gonio.evaluate.verification import STATED_FAR, Verification, verify


@dataclass(frozen=True)
class Report:
    """How good the embeddings of `images` images of `identities` identities are."""

    identities: int
    images: int
    verification: Verification
    angles: Angles

    def to_json(self) -> str:
        """One line of JSON, without NaN."""
        return record.to_json(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Report":
        """Read what `to_json` made.

        Raises:
            DataError: text that is no report.
        """
        return record.from_json(cls, text)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the JSON to `path`: wholly or not at all.

        Raises:
            OSError: a path that cannot be written.
        """
        write_text(Path(path), self.to_json())

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "Report":
        """Read the file that `write` made.

        Raises:
            DataError: a file that cannot be read or is no report.
        """
        try:
            return cls.from_json(Path(path).read_bytes())
        except OSError as error:
            raise DataError(f"{os.fspath(path)}: {error.strerror}") from error
        except DataError as error:
            raise DataError(f"{os.fspath(path)}: {error}") from error


def evaluate_embeddings(
    embeddings: Array,
    labels: Array,
    *,
    far: tuple[float, ...] = STATED_FAR,
    folds: int = 10,
    seed: int = 0,
) -> Report:
    """Verification and angles of embeddings (n, dim) with integer identities `labels` (n,).

    Raises:
        TypeError, ValueError: arguments that cannot be used; see `verify`.
        DataError: embeddings that are not finite, or of length zero.
    """
    samples = prepare(embeddings, labels)
    return Report(
        identities=len(samples.sizes),
        images=len(samples.labels),
        verification=verify(embeddings, labels, far=far, folds=folds, seed=seed),
        angles=angles(embeddings, labels, seed=seed),
    )
