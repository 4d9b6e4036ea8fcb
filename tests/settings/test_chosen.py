import pytest

from gonio import engines, losses
from gonio.base.errors import ConfigError
from gonio.engines import Chunked, Sampled
from gonio.rules import Annealing, Learned, PerClass, Ramp
from gonio.rules.scale import Auto
from gonio.settings import BackendConfig, LossConfig

CHOICES = [
    *((LossConfig, name, {}) for name in losses.names()),
    *((BackendConfig, name, {}) for name in engines.NAMED),
    (BackendConfig, "sampled", {"rate": 0.1}),
]


@pytest.mark.parametrize(("kind", "name", "needed"), CHOICES, ids=lambda one: str(one))
def test_a_choice_is_the_same_after_a_trip_through_plain_values(kind, name, needed):
    choice = kind(name, needed)
    again = kind.read(choice.plain(), "x")
    assert again.plain() == choice.plain()
    assert again.make() == choice.make() == kind.maker(name)(**needed)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (LossConfig("arcface", {"margin": 0.3}), losses.arcface(0.3)),
        (LossConfig("arcface", {"margin": {"start": 0, "end": 0.5, "steps": 9}}), losses.arcface(Ramp(0, 0.5, 9))),
        (LossConfig("arcface", {"margin": {"values": [0.3, 0]}}), losses.arcface(PerClass([0.3, 0]))),
        (LossConfig("arcface", {"scale": "auto"}), losses.arcface(scale="auto")),
        (LossConfig("arcface", {"scale": {"minimum": 9.0}}), losses.arcface(scale=Learned(9.0))),
        (LossConfig("arcface", {"scale": {"probability": 0.9}}), losses.arcface(scale=Auto(0.9))),
        (LossConfig("sphereface", {"annealing": {"minimum": 2.0}}), losses.sphereface(annealing=Annealing(minimum=2.0))),
        (LossConfig("sphereface", {"annealing": {"start": 9, "end": 0, "steps": 2}}), losses.sphereface(annealing=Ramp(9, 0, 2))),
        (LossConfig.typed("arcface", "x"), losses.arcface()),
        (LossConfig.typed("{name: arcface, margin: 5e-1}", "x"), losses.arcface(0.5)),
        (BackendConfig("chunked", {"tile": 3, "precision": "bf16"}), Chunked(3, precision="bf16")),
        (BackendConfig("sampled", {"rate": 0.5, "backend": {"tile": 3}}), Sampled(0.5, Chunked(3))),
    ],
    ids=str,
)  # fmt: skip
def test_plain_settings_stand_for_rules_and_engines(choice, expected):
    assert choice.make() == expected


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (LossConfig, "arcfce", "did you mean 'arcface'"),
        (LossConfig, "{margin: 1}", "^x.name: got null; give a name or {name: NAME"),
        (LossConfig, "{name: [1]}", r"^x.name: got \[1\]; give a name"),
        (LossConfig, "{name: arcface", "^x, line 1: not valid YAML"),
        (LossConfig, "{name: arcface, margn: 1}", "^loss.margn: .*did you mean loss.margin"),
        (LossConfig, "{name: softmax, margin: 1}", "^loss.margin: .*there is loss.bias"),
        (LossConfig, "{name: arcface, margin: 40.0}", "^loss.margin: 40.0 is out of range"),
        (LossConfig, "{name: arcface, margin: {values: [40]}}", "^loss.margin: "),
        (LossConfig, "{name: arcface, margin: {minimum: 3, initial: 5}}", "^loss.margin: got"),
        (LossConfig, "{name: arcface, scale: automatic}", "^loss.scale: .*'auto' or 'learned'"),
        (LossConfig, "{name: softmax, bias: {start: 0}}", "^loss.bias: .*must be true or false"),
        (BackendConfig, "chunkd", "^backend: .*did you mean 'chunked'"),
        (BackendConfig, "sampled", "^backend.rate: it is not given"),
        (BackendConfig, "{name: sampled, rate: 2}", "^backend.rate: 2.0 is out of range"),
        (BackendConfig, "{name: sampled, rate: .5, backend: {tle: 3}}", "did you mean backend.backend.tile"),
        (BackendConfig, "{name: chunked, tile: 0}", "^backend.tile: 0 is out of range"),
        (BackendConfig, "{name: reference, tile: 2}", "^backend.tile: there is no such setting"),
    ],
)  # fmt: skip
def test_what_is_not_in_the_table_or_not_allowed_is_refused(kind, text, message):
    with pytest.raises(ConfigError, match=message):
        kind.typed(text, "x")
