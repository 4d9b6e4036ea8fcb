import pytest
import torch

from gonio.base.errors import CheckpointError, ConfigError
from gonio.data import open_data
from gonio.train import LossConfig
from gonio.train.loop import training_steps
from gonio.train.state import TrainState
from train.runs import change, run_config

CPU = torch.device("cpu")
COUNTS = torch.full((10,), 20)


@pytest.fixture
def config(tmp_path):
    return run_config(tmp_path, "normface")


def test_the_tensors_are_the_whole_state(config):
    state = TrainState(config, COUNTS, CPU)
    for _ in zip(
        range(3),
        training_steps(state, open_data("digits", size=8, channels=1), config),
        strict=False,
    ):
        pass
    tensors = {name: tensor.clone() for name, tensor in state.tensors().items()}
    drawn = torch.rand(5)
    other = TrainState(change(config, "seed", 8), COUNTS, CPU)
    other.restore(tensors, 3)
    assert torch.equal(torch.rand(5), drawn)
    assert other.tensors().keys() == tensors.keys()
    other.restore(tensors, 3)
    assert all(torch.equal(other.tensors()[name], one) for name, one in tensors.items())
    assert other.step == 3
    assert int(other.head.step) == 3
    assert any(name.endswith("momentum_buffer") for name in tensors)
    assert "head.raw_scale" in tensors


def test_the_first_weights_depend_on_the_seed_alone(config):
    first, again = (
        TrainState(config, COUNTS, CPU).weights(),
        TrainState(config, COUNTS, CPU).weights(),
    )
    other = TrainState(change(config, "seed", 1), COUNTS, CPU).weights()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])


def test_the_state_of_another_model_is_refused(config):
    tensors = TrainState(config, COUNTS, CPU).tensors()
    with pytest.raises(CheckpointError, match="other weights"):
        TrainState(config, torch.ones(11), CPU).restore(tensors, 3)


def test_a_loss_that_does_not_fit_the_classes_is_refused(tmp_path):
    config = change(
        run_config(tmp_path), "loss", LossConfig("arcface", {"margin": 3.0, "scale": "auto"})
    )
    with pytest.raises(ConfigError, match=r"^loss\.scale"):
        TrainState(config, COUNTS, CPU)
