"""The folder of a run: what lies where."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

from gonio.runs.lock import LOCK


@dataclass(frozen=True)
class RunFolder:
    """Where a run keeps its files."""

    path: Path

    @property
    def config(self) -> Path:
        """Every setting, as YAML, to read and to go on with."""
        return self.path / "config.yaml"

    @property
    def about(self) -> Path:
        """What the run is, as JSON: see `gonio.runs.about`."""
        return self.path / "run.json"

    @property
    def metrics(self) -> Path:
        """A JSON object for each logged step."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def weights(self) -> Path:
        """The final weights."""
        return self.path / "model.safetensors"

    @property
    def model(self) -> Path:
        """What the weights are of, as JSON: see `gonio.runs.model`."""
        return self.path / "model.json"

    def results(self, of: str = "") -> Path:
        """A result, as JSON: of the identities kept apart, or of what `of` names."""
        return self.path / f"results{of and f'-{of}'}.json"

    def pictures(self, of: str = "") -> tuple[Path, Path]:
        """The score histogram and the ROC curve that belong to `results`."""
        name = f"{of and f'-{of}'}.png"
        return self.path / f"scores{name}", self.path / f"roc{name}"

    def is_run(self) -> bool:
        """Whether anything lies here that a run would write."""
        own = (self.config, self.about, self.metrics, self.checkpoints, self.weights, self.model)
        return any(path.exists() for path in (*own, self.results()))

    def discard(self) -> None:
        """Undo the beginning of a run that took no step; what others put here stays."""
        with contextlib.suppress(OSError):
            for path in (self.config, self.about, self.path / LOCK):
                path.unlink(missing_ok=True)
            self.path.rmdir()
