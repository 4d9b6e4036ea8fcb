import dataclasses

import pytest

from gonio.base.errors import ConfigError
from gonio.settings import parse_yaml, to_yaml
from gonio.train import (
    DataConfig,
    LossConfig,
    ModelConfig,
    OptimiseConfig,
    TargetsConfig,
    TrainConfig,
)

RANGES = [
    (DataConfig, "data", {"source": ""}),
    (DataConfig, "data", {"size": 7}),
    (DataConfig, "data", {"size": 65_536}),
    (DataConfig, "data", {"unseen": -0.1}),
    (DataConfig, "data", {"split_seed": -1}),
    (DataConfig, "data", {"unseen": 1.0}),
    (DataConfig, "data", {"max_bad_fraction": 1.1}),
    (ModelConfig, "model", {"embedding_dim": 0}),
    (ModelConfig, "model", {"embedding_dim": 65_536}),
    (OptimiseConfig, "optimise", {"epochs": 0}),
    (OptimiseConfig, "optimise", {"epochs": 10**9 + 1}),
    (OptimiseConfig, "optimise", {"batch_size": 1}),
    (OptimiseConfig, "optimise", {"batch_size": 2**20 + 1}),
    (OptimiseConfig, "optimise", {"per_identity": 0}),
    (OptimiseConfig, "optimise", {"per_identity": 65}),
    (OptimiseConfig, "optimise", {"lr": 0.0}),
    (OptimiseConfig, "optimise", {"lr": float("nan")}),
    (OptimiseConfig, "optimise", {"lr": float("inf")}),
    (OptimiseConfig, "optimise", {"momentum": 1.0}),
    (OptimiseConfig, "optimise", {"weight_decay": -1e-9}),
    (OptimiseConfig, "optimise", {"warmup": 1.0}),
    (OptimiseConfig, "optimise", {"max_grad_norm": 0.0}),
    (TargetsConfig, "targets", {"label_smoothing": 1.0}),
    (TargetsConfig, "targets", {"label_smoothing": -0.1}),
    (TargetsConfig, "targets", {"mixup": -0.1}),
    (TargetsConfig, "targets", {"mixup": float("nan")}),
    (TrainConfig, "", {"seed": -1}),
    (TrainConfig, "", {"out": ""}),
    (TrainConfig, "", {"checkpoint_every": 0}),
    (TrainConfig, "", {"log_every": 0}),
]


@pytest.mark.parametrize(("kind", "section", "settings"), RANGES, ids=str)
def test_a_setting_out_of_its_range_is_refused_by_its_dotted_name(kind, section, settings):
    (name,) = settings
    dotted = f"{section}.{name}" if section else name
    with pytest.raises(ConfigError, match=f"^{dotted}: got .*; it must be "):
        kind(**settings)


def test_a_configuration_is_the_same_after_a_trip_through_yaml():
    config = TrainConfig(loss=LossConfig("cosface", {"margin": 0.1}), seed=5)
    again = TrainConfig.from_dict(parse_yaml(to_yaml(config.to_dict()), "x"))
    assert again.to_dict() == config.to_dict()
    assert again.loss.make() == config.loss.make()
    assert dataclasses.replace(again, loss=config.loss, backend=config.backend) == config


@pytest.mark.parametrize("path", ["a\0b", "\ud800", "x" * 300, "new/" + "x" * 300, "y/" * 4000])
def test_a_path_that_can_never_be_is_refused_by_its_name(path):
    with pytest.raises(ConfigError, match=r"^out: "):
        TrainConfig(out=path)
    with pytest.raises(ConfigError, match=r"^data\.source: "):
        DataConfig(path)


def test_a_tilde_is_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert TrainConfig(out="~/x").out == str(tmp_path / "x")
    assert TrainConfig(out="x~").out == "x~"
