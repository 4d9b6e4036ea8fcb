"""Configurations of runs that take half a second, and what such runs leave."""

import dataclasses
import json
from pathlib import Path

from gonio import losses
from gonio.runs.folder import RunFolder
from gonio.train import DataConfig, LossConfig, OptimiseConfig, TrainConfig

STEPS = 24
"""Of the run that `run_config` describes: two epochs of twelve batches."""


def run_config(out, loss="arcface", **settings):
    is_contrastive = losses.get(loss).loss().pairing.against == "batch"
    optimise = OptimiseConfig(epochs=2, batch_size=128, per_identity=4 if is_contrastive else 1)
    return TrainConfig(
        data=DataConfig("digits", size=8),
        loss=LossConfig(loss),
        optimise=optimise,
        out=str(out),
        **({"log_every": 1, "device": "cpu"} | settings),
    )


def change(config, name, value):
    """A copy with one dotted setting changed."""
    section, _, setting = name.rpartition(".")
    if not section:
        return dataclasses.replace(config, **{name: value})
    inner = dataclasses.replace(getattr(config, section), **{setting: value})
    return dataclasses.replace(config, **{section: inner})


def folder_of(config):
    return RunFolder(Path(config.out))


def metrics_of(folder):
    lines = [json.loads(line) for line in folder.metrics.read_text().splitlines()]
    assert all(line.pop("samples_per_second") > 0 for line in lines)
    return lines
