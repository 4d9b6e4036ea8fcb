"""Training runs: settings, steps, checkpoints, metrics, export and evaluation."""

from gonio.settings import BackendConfig, LossConfig
from gonio.train.config import (
    DataConfig,
    ModelConfig,
    OptimiseConfig,
    TargetsConfig,
    TrainConfig,
)
from gonio.train.evaluation import embed, evaluate_backbone, write_results
from gonio.train.export import load_backbone
from gonio.train.interrupt import Interrupted
from gonio.train.loop import DivergedError
from gonio.train.run_folder import RunFolder
from gonio.train.trainer import Run, train

__all__ = [
    "BackendConfig",
    "DataConfig",
    "DivergedError",
    "Interrupted",
    "LossConfig",
    "ModelConfig",
    "OptimiseConfig",
    "Run",
    "RunFolder",
    "TargetsConfig",
    "TrainConfig",
    "embed",
    "evaluate_backbone",
    "load_backbone",
    "train",
    "write_results",
]
