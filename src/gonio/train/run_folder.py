"""The folder of a run: what lies where, and whether it can be begun or gone on with."""

import platform
import re
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from gonio.base.durable import write_json, write_text
from gonio.base.errors import CheckpointError, ConfigError
from gonio.settings import to_yaml
from gonio.train.config import TrainConfig

RUNS = Path("runs")
"""Where runs go that are not told where."""


@dataclass(frozen=True)
class RunFolder:
    """Where a run keeps its files."""

    path: Path

    @property
    def config(self) -> Path:
        """Every setting, as YAML."""
        return self.path / "config.yaml"

    @property
    def versions(self) -> Path:
        """What it is trained with, as JSON."""
        return self.path / "versions.json"

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
        """What the weights are of, as JSON."""
        return self.path / "model.json"

    def results(self, of: str | None = None) -> Path:
        """A report, as JSON: of the unseen identities, or of another data set by its name."""
        return self.path / f"results{_dashed(of)}.json"

    def scores_picture(self, of: str | None = None) -> Path:
        """The score histogram that belongs to `results`."""
        return self.path / f"scores{_dashed(of)}.png"

    def roc_picture(self, of: str | None = None) -> Path:
        """The ROC curve that belongs to `results`."""
        return self.path / f"roc{_dashed(of)}.png"

    def is_run(self) -> bool:
        """Whether anything lies here that a run would write."""
        own = (self.config, self.versions, self.metrics, self.checkpoints, self.weights, self.model)
        return any(path.exists() for path in (*own, self.results()))

    def describe(self, config: TrainConfig) -> None:
        """Write the configuration and the versions."""
        packages = ("gonio", "torch", "numpy", "safetensors", "pillow")
        machine = {"python": platform.python_version(), "platform": platform.platform()}
        write_json(self.versions, machine | {name: version(name) for name in packages})
        write_text(self.config, to_yaml(config.to_dict()))


def new_run(config: TrainConfig) -> RunFolder:
    """Make the folder of a new run.

    Raises:
        ConfigError: `out` holds a run already, or is no folder.
    """
    if config.out is None:
        return _next_numbered(config)
    folder = RunFolder(Path(config.out))
    if folder.is_run():
        raise ConfigError(
            f"out: {folder.path} holds a run already; go on with it by --resume, or choose another"
        )
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"out: {folder.path}: {error.strerror}") from error
    return folder


def existing_run(config: TrainConfig) -> RunFolder:
    """The folder of the run to go on with: `out`, or the latest of this data and loss.

    Raises:
        CheckpointError: there is none.
    """
    if config.out is not None:
        folder = RunFolder(Path(config.out))
        if not folder.is_run():
            raise CheckpointError(f"{folder.path} holds no run; leave out --resume to begin one")
        return folder
    runs = _numbered(config)
    if not runs:
        raise CheckpointError(
            f"{RUNS} holds no run {_stem(config)}-<number>; name one by --out, or leave out --resume"
        )
    return RunFolder(max(runs)[1])


def _next_numbered(config: TrainConfig) -> RunFolder:
    """Two that ask at the same time get two folders."""
    path = RUNS / f"{_stem(config)}-{max(_numbered(config), default=(0, RUNS))[0] + 1}"
    try:
        path.mkdir(parents=True)
    except FileExistsError:
        return _next_numbered(config)
    return RunFolder(path)


def _numbered(config: TrainConfig) -> list[tuple[int, Path]]:
    """The runs of this data and loss that were not told where to go, with their numbers."""
    pattern = re.compile(re.escape(_stem(config)) + r"-(\d+)")
    matches = [(pattern.fullmatch(path.name), path) for path in RUNS.glob("*")]
    return [(int(match[1]), path) for match, path in matches if match]


def _stem(config: TrainConfig) -> str:
    loss = config.loss.name.replace(":", "-")
    return f"{Path(config.data.source).expanduser().resolve().name}-{loss}"


def _dashed(name: str | None) -> str:
    return "" if name is None else f"-{name}"
