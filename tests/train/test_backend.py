"""Backends, and class weights that move in backward, by the settings of a run."""

from itertools import islice

import pytest
import torch

from gonio.base.errors import ConfigError
from gonio.data import open_data
from gonio.train import BackendConfig, LossConfig
from gonio.train.loop import training_steps
from gonio.train.state import TrainState
from train.runs import change, run_config

IMAGES = open_data("digits", size=8, channels=1)
DRAWN = {"rate": 0.5, "backend": {"tile": 3}}


def config_of(name, settings=None, **optimise):
    """Batches of four, so that some of the ten classes are not in them."""
    config = change(run_config("x"), "backend", BackendConfig(name, settings or {}))
    for setting, value in {"max_grad_norm": 1e9, "batch_size": 4, **optimise}.items():
        config = change(config, f"optimise.{setting}", value)
    return config


def state_of(config):
    return TrainState(config, IMAGES.labels.bincount(), torch.device("cpu"))


def losses_of(state, config, steps):
    return [metrics.loss for metrics in islice(training_steps(state, IMAGES, config), steps)]


def test_every_way_to_compute_all_classes_trains_to_the_same_numbers():
    def losses(*arguments, **optimise):
        config = config_of(*arguments, **optimise)
        return losses_of(state_of(config), config, 5)

    truth = losses("reference")
    assert losses("chunked", {"tile": 3}) == pytest.approx(truth, rel=1e-3)
    assert losses("auto", in_backward=True) == pytest.approx(truth, rel=1e-3)
    assert losses("sampled", DRAWN)[0] < 0.999 * truth[0], "no class was left out"


@pytest.mark.parametrize("is_moved", [False, True])
def test_a_run_with_drawn_classes_goes_on_to_the_same_numbers(is_moved):
    config = config_of("sampled", DRAWN, in_backward=is_moved)
    whole, part = state_of(config), state_of(config)
    losses = losses_of(whole, config, 9)
    assert losses_of(part, config, 4) == losses[:4]
    again = state_of(config)
    again.restore(part.tensors(), part.step)
    assert losses_of(again, config, 5) == losses[4:]


NO_GO = [
    (config_of("reference", in_backward=True), r"^optimise\.in_backward: backend: Reference"),
    (change(config_of("sampled", DRAWN), "targets.label_smoothing", 0.1), r"^targets\.label_smo"),
    (change(config_of("sampled", DRAWN), "loss", LossConfig("infonce")), r"^backend: Sampled"),
]


@pytest.mark.parametrize(("config", "message"), NO_GO, ids=["whole", "smoothing", "no classes"])
def test_what_does_not_go_together_is_refused_by_its_setting(config, message):
    with pytest.raises(ConfigError, match=message):
        state_of(change(config, "optimise.per_identity", 2))
