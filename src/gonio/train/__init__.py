"""Training runs: settings, steps, checkpoints, metrics, export and evaluation."""

from gonio.runs.folder import RunFolder
from gonio.runs.model import load_backbone
from gonio.runs.results import Result, read_result
from gonio.settings import BackendConfig, LossConfig
from gonio.train.config import (
    DataConfig,
    ModelConfig,
    OptimiseConfig,
    TargetsConfig,
    TrainConfig,
)
from gonio.train.evaluation import embed, evaluate_backbone
from gonio.train.interrupt import Interrupted
from gonio.train.loop import DivergedError
from gonio.train.trained import Trained
from gonio.train.trainer import Run, train

__all__ = [
    "BackendConfig",
    "DataConfig",
    "DivergedError",
    "Interrupted",
    "LossConfig",
    "ModelConfig",
    "OptimiseConfig",
    "Result",
    "Run",
    "RunFolder",
    "TargetsConfig",
    "TrainConfig",
    "Trained",
    "embed",
    "evaluate_backbone",
    "load_backbone",
    "read_result",
    "train",
]
