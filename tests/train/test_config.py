import dataclasses

import pytest

from gonio import losses
from gonio.base.errors import ConfigError
from gonio.rules import Annealing, Learned, PerClass, Ramp
from gonio.rules.scale import Auto
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
    (DataConfig, "data", {"unseen": 0.0}),
    (DataConfig, "data", {"unseen": 1.0}),
    (DataConfig, "data", {"max_bad_fraction": 1.1}),
    (ModelConfig, "model", {"embedding_dim": 0}),
    (OptimiseConfig, "optimise", {"epochs": 0}),
    (OptimiseConfig, "optimise", {"batch_size": 1}),
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


@pytest.mark.parametrize("name", losses.names())
def test_a_configuration_is_the_same_after_a_trip_through_plain_values(name):
    config = TrainConfig(loss=LossConfig(name), seed=5)
    again = TrainConfig.from_dict(config.to_dict())
    assert again.to_dict() == config.to_dict()
    row = losses.get(name)
    assert row.loss(**again.loss.arguments()) == row.loss()
    assert dataclasses.replace(again, loss=config.loss) == config


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("arcface", {"margin": 0.3}, losses.arcface(0.3)),
        (
            "arcface",
            {"margin": {"start": 0, "end": 0.5, "steps": 9}},
            losses.arcface(Ramp(0, 0.5, 9)),
        ),
        ("arcface", {"margin": {"values": [0.3, 0]}}, losses.arcface(PerClass([0.3, 0]))),
        ("arcface", {"scale": "auto"}, losses.arcface(scale="auto")),
        ("arcface", {"scale": {"minimum": 9.0}}, losses.arcface(scale=Learned(9.0))),
        ("arcface", {"scale": {"probability": 0.9}}, losses.arcface(scale=Auto(0.9))),
        (
            "sphereface",
            {"annealing": {"minimum": 2.0}},
            losses.sphereface(annealing=Annealing(minimum=2.0)),
        ),
        (
            "sphereface",
            {"annealing": {"start": 9, "end": 0, "steps": 2}},
            losses.sphereface(annealing=Ramp(9, 0, 2)),
        ),
    ],
    ids=str,
)
def test_plain_settings_stand_for_schedules_and_scales(name, settings, expected):
    assert losses.get(name).loss(**LossConfig(name, settings).arguments()) == expected


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("arcfce", {}, "did you mean 'arcface'"),
        ("arcface", {"margn": 1}, "^loss.margn: .*did you mean 'margin'"),
        ("softmax", {"margin": 1}, "^loss.margin: 'softmax' has no such setting"),
        ("arcface", {"margin": 40.0}, "^loss.margin: 40.0 is out of range"),
        ("arcface", {"margin": float("nan")}, "^loss.margin: nan is out of range"),
        (
            "arcface",
            {"margin": {"start": 0.0, "end": float("inf"), "steps": 3}},
            "^loss.margin: end: inf",
        ),
        ("arcface", {"margin": "half"}, "^loss: "),
        ("arcface", {"margin": {"start": 0, "stop": 1}}, "^loss.margin: .*{start, end, steps}"),
        ("arcface", {"margin": {"values": []}}, "^loss.margin: .*a finite number for each class"),
        ("arcface", {"margin": {"values": [40.0]}}, "^loss.margin: "),
        ("arcface", {"margin": {}}, "^loss.margin: .*{start, end, steps}"),
        (
            "arcface",
            {"margin": {"start": 0, "end": 1, "steps": 0}},
            "^loss.margin: steps: 0 is out of range",
        ),
        ("arcface", {"margin": {"minimum": 3, "initial": 5}}, "^loss.margin"),
        ("arcface", {"scale": "automatic"}, "^loss.scale"),
        ("softmax", {"bias": {"start": 0, "end": 1, "steps": 3}}, "^loss.bias: .*no mapping"),
    ],
)
def test_a_loss_refuses_what_it_does_not_understand(name, settings, message):
    with pytest.raises(ConfigError, match=message):
        LossConfig(name, settings)
