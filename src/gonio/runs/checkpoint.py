"""Checkpoints that survive a crash at any moment, and are not trusted before they are checked.

A checkpoint is a folder `step-000000200`: the tensors, the facts, and a manifest with the SHA-256 of
both. It is written under another name and renamed when all of it is on the disk.
"""

import json
import os
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from gonio.base.durable import naming, sha256, sync, write_json, write_tensors
from gonio.base.errors import CheckpointError
from gonio.runs.about import Facts
from gonio.runs.records import DamagedError, read_record, write_record

KEPT = 2
"""How many checkpoints stay."""

DAMAGE = (
    FileNotFoundError,
    NotADirectoryError,
    ValueError,
    KeyError,
    TypeError,
    RecursionError,
    SafetensorError,
    DamagedError,
)
"""What reading a checkpoint raises that is not whole; other errors of the disk say nothing of it."""

TENSORS, FACTS, MANIFEST = "tensors.safetensors", "facts.json", "manifest.json"


@dataclass(frozen=True)
class Saved:
    """What `facts.json` says.

    Attributes:
        step: steps taken.
        run: that it is of.
    """

    step: int
    run: Facts


@dataclass(frozen=True)
class Checkpoint:
    """A state at a step.

    Attributes:
        step: steps taken.
        run: that it is of.
        tensors: name -> tensor, on the CPU.
    """

    step: int
    run: Facts
    tensors: dict[str, Tensor]


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Add a checkpoint to `folder` and drop those that are older than the newest two.

    Raises:
        OSError: names the checkpoint.
    """
    final = _path(folder, checkpoint.step)
    if final.exists():
        return
    with naming(final):
        folder.mkdir(exist_ok=True)
        _clear(folder)
        part = folder / f".part-{final.name}"
        part.mkdir()
        write_tensors(part / TENSORS, checkpoint.tensors)
        write_record(part / FACTS, Saved(checkpoint.step, checkpoint.run))
        digests = {name: sha256(part / name) for name in (TENSORS, FACTS)}
        write_json(part / MANIFEST, {"sha256": digests})
        os.rename(part, final)
        sync(folder)
        for old in _saved(folder)[KEPT:]:
            doomed = old.with_name(f".part-{old.name}")
            os.rename(old, doomed)
            shutil.rmtree(doomed)


def newest_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest checkpoint that is whole, or None where none was ever saved.

    A damaged one is renamed to `.corrupt-step-...` with a warning, and the one before it is taken.
    What a crash left half saved is removed.

    Raises:
        CheckpointError: there are checkpoints and none is whole, or one is of a newer format.
    """
    _clear(folder)
    for path in _saved(folder):
        try:
            return _load(path)
        except DAMAGE as error:
            aside = path.with_name(f".corrupt-{path.name}")
            shutil.rmtree(aside, ignore_errors=True)
            os.rename(path, aside)
            warnings.warn(f"{path} is damaged ({error}) and now called {aside.name}", stacklevel=2)
    if damaged := sorted(path.name for path in folder.glob(".corrupt-*")):
        raise CheckpointError(
            f"{folder}: no checkpoint is whole, damaged are {', '.join(damaged)}; put one back from a "
            "copy, or train again with another --out"
        )
    return None


def _clear(folder: Path) -> None:
    """Remove what is half saved or half dropped."""
    for leftover in folder.glob(".part-*"):
        shutil.rmtree(leftover)


def _path(folder: Path, step: int) -> Path:
    return folder / f"step-{step:09d}"


def _saved(folder: Path) -> list[Path]:
    """The newest first."""
    return sorted(folder.glob("step-*"), reverse=True)


def _load(path: Path) -> Checkpoint:
    digests = json.loads((path / MANIFEST).read_bytes())["sha256"]
    for name in (TENSORS, FACTS):
        if sha256(path / name) != digests[name]:
            raise ValueError(f"{name} is not what was saved")
    saved = read_record(Saved, path / FACTS)
    if saved.step < 0 or path != _path(path.parent, saved.step):
        raise ValueError(f"{FACTS} is that of step {saved.step}")
    return Checkpoint(saved.step, saved.run, load_file(path / TENSORS))
