"""Going on with a run: whether it is the same one, and from where."""

import warnings

from gonio.base.errors import CheckpointError
from gonio.runs.about import About, Facts
from gonio.runs.checkpoint import newest_checkpoint
from gonio.runs.folder import RunFolder
from gonio.runs.model import read_model, read_weights
from gonio.runs.records import read_record
from gonio.train.config import dotted
from gonio.train.state import TrainState

FREE = ("out", "device", "checkpoint_every", "log_every", "data.source", "data.max_bad_fraction")
"""Settings that change no number of the run; which data they lead to is checked by the data."""


def restore(state: TrainState, folder: RunFolder, now: About) -> None:
    """Take over the newest checkpoint of a run, or where it has none, the model of a finished one.

    Raises:
        CheckpointError: another run, or one that nothing is left of to go on from.
    """
    before = read_record(About, folder.about)
    check_same_run(now.run, before.run, folder)
    if differences := now.environment.differences(before.environment):
        warnings.warn(
            f"{folder.path}: the last digits may differ from those of an uninterrupted run: "
            f"{', '.join(differences)}",
            stacklevel=2,
        )
    checkpoint = newest_checkpoint(folder.checkpoints)
    if checkpoint is not None:
        check_same_run(now.run, checkpoint.run, folder)
        state.restore(checkpoint.tensors, checkpoint.step)
    elif folder.model.exists():
        model = read_model(folder)
        check_same_run(now.run, model.run, folder)
        if model.step < now.steps:
            raise CheckpointError(
                f"{folder.checkpoints}: no checkpoint is left to go on from after step {model.step} of "
                f"{now.steps}; put one back from a copy, or begin another run with another --out"
            )
        state.load(read_weights(folder, model), model.step)
    else:
        warnings.warn(f"{folder.path} has no checkpoint yet: from the first step", stacklevel=2)


def check_same_run(now: Facts, before: Facts, folder: RunFolder) -> None:
    """Compare settings and data with those that were written down.

    Raises:
        CheckpointError: names what differs.
    """
    new, old = dotted(now.settings), dotted(before.settings)
    epochs = "optimise.epochs"
    for name in dict.fromkeys((*new, *old)):
        is_longer = name == epochs and new[epochs] >= old.get(epochs, 0)
        if new.get(name) != old.get(name) and name not in FREE and not is_longer:
            raise CheckpointError(
                f"{name}: {new.get(name)!r} now, {old.get(name)!r} in the run to go on with; begin "
                "another run with another --out, or go on with: "
                f"gonio train --config {folder.config} --resume"
            )
    if differences := now.data.differences(before.data):
        raise CheckpointError(
            f"data.source: {new['data.source']} has changed since the run began: "
            f"{', '.join(differences)}; put the old data back, or begin another run"
        )
