"""A training run from its configuration to its weights, begun or gone on with."""

import contextlib
import time
import warnings
from dataclasses import dataclass, replace

import torch
from torch import nn

from gonio.base.errors import ConfigError
from gonio.train.checkpoint import Checkpoint, newest_checkpoint, save_checkpoint
from gonio.train.config import TrainConfig
from gonio.train.export import export_model
from gonio.train.interrupt import Interrupted, catch_signals
from gonio.train.loop import order_of, training_steps
from gonio.train.metrics_file import MetricsFile
from gonio.train.progress import TrainingProgress
from gonio.train.resume import check_same_run
from gonio.train.run_folder import RunFolder, existing_run, new_run
from gonio.train.split import Split, open_split
from gonio.train.state import TrainState


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

    The same configuration gives the same numbers on the same machine's CPU, also when the run was
    interrupted at any moment and gone on with. Torch's global generators are seeded.

    Args:
        config: every setting.
        resume: go on with the run in `config.out` (by default the latest of this data and loss) from
            its newest checkpoint. Settings that change the numbers must be the same; `epochs` may
            grow, and the learning rate then follows the longer schedule.

    Raises:
        ConfigError: settings that cannot be used, or an `out` that holds a run.
        DataError: data that cannot be read or are too few.
        CheckpointError: nothing to go on with, or other settings or data than before.
        DivergedError: a loss or gradient that is not finite.
        Interrupted: SIGINT or SIGTERM came; the state is saved.
    """
    device = choose_device(config.device)
    folder = existing_run(config) if resume else new_run(config)
    config = replace(config, out=str(folder.path))
    try:
        split = open_split(config.data, config.seed)
        counts = split.seen.labels.bincount(minlength=len(split.seen.names))
        state = TrainState(config, counts, device)
        if resume:
            _restore(state, folder, config, split)
        folder.describe(config)
    except BaseException:
        with contextlib.suppress(OSError):
            folder.path.rmdir()  # only where it is still empty
        raise
    _fit(state, folder, config, split)
    export_model(folder, config, state.weights(), split.seen.names, split.fingerprint)
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


def _restore(state: TrainState, folder: RunFolder, config: TrainConfig, split: Split) -> None:
    checkpoint = newest_checkpoint(folder.checkpoints)
    if checkpoint is None:
        warnings.warn(f"{folder.path} has no checkpoint yet: from the first step", stacklevel=3)
        return
    check_same_run(config, split.fingerprint, checkpoint)
    state.restore(checkpoint.tensors, checkpoint.step)


def _fit(state: TrainState, folder: RunFolder, config: TrainConfig, split: Split) -> None:
    """Take the steps that are left, with metrics and checkpoints."""
    order = order_of(config, split.seen)
    steps = config.optimise.epochs * order.per_epoch
    facts = {"settings": config.to_dict(), "data": split.fingerprint}
    with (
        MetricsFile(folder.metrics, state.step) as lines,
        TrainingProgress(state.step, steps) as progress,
        catch_signals() as caught,
    ):
        since, began = state.step, time.perf_counter()
        for metrics in training_steps(state, split.seen, config):
            if metrics is not None:
                now = time.perf_counter()
                samples_per_second = (state.step - since) * order.images_per_batch / (now - began)
                lines.add(metrics, samples_per_second)
                progress.show(metrics, samples_per_second)
                since, began = state.step, now
            signal_number = caught()
            is_last = state.step == steps
            if signal_number or is_last or state.step % config.checkpoint_every == 0:
                lines.sync()
                save_checkpoint(folder.checkpoints, Checkpoint(state.step, state.tensors(), facts))
            if signal_number:
                raise Interrupted(
                    f"stopped after step {state.step} of {steps}, which is saved; go on with: "
                    f"gonio train --config {folder.config} --resume",
                    signal_number,
                )
