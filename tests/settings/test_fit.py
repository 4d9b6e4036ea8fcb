from dataclasses import dataclass
from typing import Literal

import pytest

from gonio.base.errors import ConfigError
from gonio.rules import Annealing, PerClass, Ramp
from gonio.rules.number import Number
from gonio.settings import fitted, plain
from gonio.train import ModelConfig, OptimiseConfig, TrainConfig


@dataclass(frozen=True)
class Part:
    """A part.

    Args:
        size: of it.
        word: of its name.
    """

    size: int
    word: str = "x"


@pytest.mark.parametrize(
    ("value", "kind", "made"),
    [
        (3, float, 3.0),
        (3, int | None, 3),
        (None, int | None, None),
        ("1e3", str | None, "1e3"),
        (True, bool, True),
        (1, Literal[1, 3], 1),
        ([1, 0.5], tuple[float, ...], (1.0, 0.5)),
        ({"size": 3}, Part | int, Part(3)),
        ({"start": 0, "end": 1, "steps": 3}, Number, Ramp(0.0, 1.0, 3)),
        ({"minimum": 2.0}, Number, Annealing(minimum=2.0)),
        ({"values": [1, 2]}, Number, PerClass([1.0, 2.0])),
        ("iresnet18", ModelConfig, ModelConfig("iresnet18")),
        ({"epochs": 3}, OptimiseConfig, OptimiseConfig(epochs=3)),
    ],
    ids=str,
)
def test_a_plain_value_is_made_what_its_type_asks_for(value, kind, made):
    found = fitted(value, kind, "x")
    assert (found, type(found)) == (made, type(made))
    assert fitted(plain(found), kind, "x") == made


REFUSED = [
    (True, float, "x: got True; it must be a number"),
    (True, Literal[1, 3], "x: got True; it must be 1 or 3"),
    (True, int, "x: got True; it must be a whole number"),
    (1.0, int, "x: got 1.0; it must be a whole number"),
    (1, bool, "x: got 1; it must be true or false"),
    (7, str, "x: got 7; it must be text"),
    (None, float, "x: got null; it must be a number"),
    (10**23, int | None, "or null; whole numbers have 64 bits"),
    (10**400, float, "it must be a number"),
    (1e300, float, r"it must be a number; numbers are finite, up to 3.4e\+38"),
    (float("nan"), float, "x: got nan; it must be a number; numbers are finite"),
    ([1, "a"], tuple[float, ...], r"^x\[1\]: got 'a'; it must be a number"),
    ([[1]], tuple[float, ...], r"^x\[0\]: got \[1\]; it must be a number"),
    (3, tuple[float, ...], "it must be a list of which each is a number"),
    ({}, Part, "^x.size: it is not given; it must be a whole number"),
    ({"size": "3"}, Part, "^x.size: got '3'; it must be a whole number"),
    ({"size": 3, "wrd": 1}, Part, "^x.wrd: there is no such setting; did you mean x.word?"),
    (3, Part, "x: got 3; it must be {size, word}"),
    ("small", OptimiseConfig, "x: got 'small'; it must be {epochs, batch_size"),
    (None, ModelConfig, "x: got null; it must be a name or {backbone, embedding_dim}"),
    ({"start": 0, "stop": 1}, Number, "a number or {start, end, steps} or {base, gamma, power, min"),
    ({"start": 0, "end": 1, "steps": 0}, Number, "^x.steps: 0 is out of range"),
    ({"values": []}, Number, "^x.values: got nothing; give a finite number for each class"),
    ({"lr": 1}, TrainConfig, "^x.lr: there is no such setting; did you mean x.optimise.lr?"),
    (3, list, "^x: its type <class 'list'> cannot be written in a file"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "kind", "message"), REFUSED, ids=str)
def test_another_value_is_refused_by_its_path(value, kind, message):
    with pytest.raises(ConfigError, match=message):
        fitted(value, kind, "x")


def test_a_long_value_is_shown_short():
    with pytest.raises(ConfigError) as caught:
        fitted("x" * 10**6, float, "x")
    assert len(str(caught.value)) < 200
