"""A training run from its configuration to its weights, begun or gone on with."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from gonio.base.durable import write_text
from gonio.base.errors import ConfigError
from gonio.models import backbone_names, prove_saving
from gonio.runs.about import About, Environment, Facts
from gonio.runs.checkpoint import Checkpoint, save_checkpoint
from gonio.runs.folder import RunFolder
from gonio.runs.lock import locked
from gonio.runs.metrics_file import MetricsFile
from gonio.runs.model import Model, write_weights
from gonio.runs.place import existing_folder, new_folder
from gonio.runs.records import write_record
from gonio.settings import to_yaml
from gonio.train.config import TrainConfig
from gonio.train.deterministic import deterministic
from gonio.train.interrupt import Interrupted, catch_signals
from gonio.train.loop import order_of, training_steps
from gonio.train.progress import TrainingProgress
from gonio.train.resume import restore
from gonio.train.split import Split, located, open_split
from gonio.train.state import TrainState, backbone_of


@dataclass(frozen=True)
class Run:
    """A finished training run.

    Attributes:
        folder: its files.
        backbone: trained, on the device of the run.
        split: what it was trained on, and what was kept apart.
    """

    folder: RunFolder
    backbone: nn.Module
    split: Split


def train(config: TrainConfig, *, resume: bool = False) -> Run:
    """Train a backbone and a head, with metrics and checkpoints, and export the weights.

    The same configuration gives the same numbers on the same machine's CPU with the same number of
    threads, also when the run was interrupted at any moment and gone on with. Torch's global generators
    are seeded.

    Args:
        config: every setting.
        resume: go on with the run in `config.out` (by default the latest of this data and loss) from
            its newest checkpoint. Settings and data that change the numbers must be the same; `epochs`
            may grow, and the learning rate then follows the longer schedule.

    Raises:
        ConfigError: settings that cannot be used, or an `out` that holds a run.
        DataError: data that cannot be read or are too few.
        CheckpointError: nothing to go on with, other settings or data than before, or a folder that
            another process trains in.
        DivergedError: a loss or gradient that is not finite.
        Interrupted: SIGINT, SIGTERM or SIGHUP came; the state is saved.
    """
    device = choose_device(config.device)
    folder = (existing_folder if resume else new_folder)(config.out, _stem(config))
    config = replace(config, out=str(folder.path), data=located(config.data))
    with locked(folder.path):
        if not resume and folder.is_run():
            raise ConfigError(
                f"out: {folder.path} holds a run already; go on with it by --resume, or choose another"
            )
        try:
            split = open_split(config.data)
            state = _first_state(config, split, device)
            about = _about(config, split, device)
            if resume:
                restore(state, folder, about)
            write_record(folder.about, about)
            write_text(folder.config, to_yaml(config.to_dict()))
        except BaseException:
            if not resume:
                folder.discard()
            raise
        _fit(state, folder, config, split, about)
        digest = write_weights(folder, state.weights())
        write_record(folder.model, _model(digest, config, split, about))
    return Run(folder, state.backbone, split)


def choose_device(name: str) -> torch.device:
    """The device of a setting.

    Raises:
        ConfigError: "cuda" where there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device: 'cuda' is not there; choose 'auto' or 'cpu'")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def _first_state(config: TrainConfig, split: Split, device: torch.device) -> TrainState:
    """What a run starts from, once a backbone from elsewhere is known to outlive its training."""
    if config.model.backbone not in backbone_names():
        prove_saving(**vars(backbone_of(config)))
    counts = split.seen.labels.bincount(minlength=len(split.seen.names))
    return TrainState(config, counts, device)


def _about(config: TrainConfig, split: Split, device: torch.device) -> About:
    facts = Facts(config.to_dict(), split.fingerprint)
    return About(facts, _steps(config, split), Environment.here(device))


def _steps(config: TrainConfig, split: Split) -> int:
    return config.optimise.epochs * order_of(config, split.seen).per_epoch


def _model(digest: str, config: TrainConfig, split: Split, about: About) -> Model:
    return Model(
        sha256=digest,
        step=about.steps,
        backbone=backbone_of(config),
        loss=config.loss.plain(),
        identities=split.seen.names,
        run=about.run,
    )


def _stem(config: TrainConfig) -> str:
    """How a run is called that was not told how."""
    loss = config.loss.name.replace(":", "-")
    return f"{Path(config.data.source).expanduser().resolve().name}-{loss}"


def _fit(
    state: TrainState, folder: RunFolder, config: TrainConfig, split: Split, about: About
) -> None:
    """Take the steps that are left, with metrics and checkpoints."""
    images_per_batch = order_of(config, split.seen).images_per_batch
    with (
        MetricsFile(folder.metrics, state.step) as lines,
        TrainingProgress(state.step, about.steps) as progress,
        catch_signals() as caught,
        deterministic(state.head.step.device),
    ):
        since, began = state.step, time.perf_counter()
        for metrics in training_steps(state, split.seen, config):
            now = time.perf_counter()
            samples_per_second = (state.step - since) * images_per_batch / (now - began)
            if metrics is not None:
                speed = {"samples_per_second": round(samples_per_second, 1)}
                lines.add(vars(metrics) | speed)
            signal_number = caught()
            is_last = state.step == about.steps
            if signal_number or is_last or state.step % config.checkpoint_every == 0:
                lines.sync()
                saved = Checkpoint(state.step, about.run, state.tensors())
                save_checkpoint(folder.checkpoints, saved)
            if signal_number:
                raise Interrupted(
                    f"stopped after step {state.step} of {about.steps}, which is saved; go on with: "
                    f"gonio train --config {folder.config} --resume",
                    signal_number,
                )
            if metrics is not None:  # after saving: the terminal may have gone
                progress.show(metrics, samples_per_second)
                since, began = state.step, now
