"""A trained run as evaluation sees it: by what its model file says, never by a configuration."""

import os
import warnings
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from gonio.base.errors import ConfigError, DataError
from gonio.data import Fingerprint, Images, select_identities
from gonio.data.open import BUILT_IN
from gonio.runs.about import About, Environment
from gonio.runs.folder import RunFolder
from gonio.runs.model import Model, read_model, restored
from gonio.runs.records import DamagedError, read_record
from gonio.runs.results import Result, trained_on
from gonio.settings import fitted
from gonio.train.config import DataConfig
from gonio.train.evaluation import evaluate_backbone
from gonio.train.split import located, open_images
from gonio.train.state import initial_backbone
from gonio.train.trainer import choose_device


class Sample(NamedTuple):
    """What a run is evaluated on."""

    images: Images
    source: str


@dataclass(frozen=True)
class Trained:
    """A finished run.

    Attributes:
        folder: its files.
        model: what its weights are of.
        data: that it was trained on, and their images' size and channels.
        seed: of its first weights.
        device: to evaluate on: the best there is, unless the run was to stay on the CPU.
    """

    folder: RunFolder
    model: Model
    data: DataConfig
    seed: int
    device: torch.device

    @classmethod
    def read(cls, path: str | os.PathLike[str], allowed: Collection[str] = ()) -> "Trained":
        """The run in a folder, with a warning where it was to become longer.

        Args:
            path: of the folder.
            allowed: code of one's own that the run may name as its backbone, such as "my_nets:net".

        Raises:
            CheckpointError: no finished run, or a damaged one.
            ConfigError: a backbone that is not allowed.
        """
        folder = RunFolder(Path(path))
        model = read_model(folder)
        model.backbone.check_allowed(allowed)
        _warn_of_more_steps(folder, model)
        settings = model.run.settings
        try:
            return cls(
                folder,
                model,
                data=fitted(settings["data"], DataConfig, "data"),
                seed=settings["seed"],
                device=choose_device("cpu" if settings["device"] == "cpu" else "auto"),
            )
        except (KeyError, TypeError, ConfigError) as error:
            raise DamagedError(f"{folder.model} is damaged: settings: {error}") from error

    def result(self, sample: Sample) -> Result:
        """Evaluate the trained backbone.

        Raises:
            CheckpointError: weights that are damaged.
            DataError: embeddings that are not finite, or of length zero.
        """
        known = trained_on(sample.images, self.model.identities)
        return self._result(restored(self.folder, self.model), sample, self.model.sha256, known)

    def result_before_training(self, sample: Sample) -> Result:
        """Evaluate the backbone as it was before; see `result`."""
        return self._result(initial_backbone(self.model.backbone, self.seed), sample, None, ())

    def _result(
        self, backbone: nn.Module, sample: Sample, model: str | None, known: tuple[str, ...]
    ) -> Result:
        return Result(
            model=model,
            settings=self.model.run.settings,
            source=sample.source,
            data=Fingerprint.of(sample.images),
            trained_on=known,
            environment=Environment.here(self.device),
            report=evaluate_backbone(backbone.to(self.device), sample.images),
        )


def opener(source: str | None) -> Callable[[Trained], Sample]:
    """What to evaluate runs on, opened once for all: a whole source, or those that each kept apart."""
    opened = cache(open_images)

    def sample_of(run: Trained) -> Sample:
        if source is None:
            _check_there(run)
            return unseen_of(run, opened(run.data))
        data = located(replace(run.data, source=source))
        return Sample(opened(data), data.source)

    return sample_of


def unseen_of(run: Trained, images: Images) -> Sample:
    """Those of all images of a run that it was not trained on.

    Raises:
        DataError: the data are others than when it was trained, or it was trained on all of them.
    """
    source = run.data.source
    if differences := Fingerprint.of(images).differences(run.model.run.data):
        raise DataError(
            f"{source}: the data have changed since {run.folder.path} was trained: "
            f"{', '.join(differences)}; put them back, or name others by --data"
        )
    known = set(run.model.identities)
    apart = [label for label, name in enumerate(images.names) if name not in known]
    if not apart:
        raise DataError(
            f"{source}: {run.folder.path} was trained on all identities; name others by --data"
        )
    return Sample(select_identities(images, apart), source)


def _check_there(run: Trained) -> None:
    """Say what helps where the data of a run were moved."""
    source = run.data.source
    if source not in BUILT_IN and not Path(source).exists():
        raise DataError(
            f"{source}: the data of {run.folder.path} are no longer there; say where they are: "
            f"gonio train --config {run.folder.config} --data FOLDER --resume"
        )


def _warn_of_more_steps(folder: RunFolder, model: Model) -> None:
    if not folder.about.exists():  # a model that came without its run
        return
    steps = read_record(About, folder.about).steps
    if model.step < steps:
        warnings.warn(
            f"{folder.path} is not finished: its model is that of step {model.step} of {steps}; go on "
            f"with: gonio train --config {folder.config} --resume",
            stacklevel=2,
        )
