"""Whether a checkpoint belongs to the run that is to go on."""

from gonio.base.errors import CheckpointError
from gonio.train.checkpoint import Checkpoint
from gonio.train.config import TrainConfig, dotted
from gonio.train.split import Fingerprint

FREE = ("out", "device", "checkpoint_every", "log_every")
"""Settings that change no number of the run."""


def check_same_run(config: TrainConfig, data: Fingerprint, checkpoint: Checkpoint) -> None:
    """Compare the settings and the data with those that the checkpoint was written under.

    Raises:
        CheckpointError: names what differs.
    """
    old, new = dotted(checkpoint.facts["settings"]), dotted(config.to_dict())
    new["optimise.epochs"] = min(new["optimise.epochs"], old["optimise.epochs"])
    for name in dict.fromkeys((*new, *old)):
        before, now = old.get(name), new.get(name)
        if before != now and name not in FREE:
            raise CheckpointError(
                f"{name}: {now!r} now, {before!r} in the run to go on with; begin another run with "
                f"another --out, or go on with: gonio train --config {config.out}/config.yaml --resume"
            )
    before = checkpoint.facts["data"]
    if data != before:
        raise CheckpointError(
            f"data.source: {config.data.source!r} has changed: {_amount(data)} now, "
            f"{_amount(before)} when the run began; put the old data back, or begin another run"
        )


def _amount(data: Fingerprint) -> str:
    return f"{data['images']} images of {data['identities']} identities"
