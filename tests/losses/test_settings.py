"""Every setting of every loss is read by its type: refused by its own name, and said in its docstring."""

import math
from dataclasses import dataclass, fields, is_dataclass
from typing import Annotated, get_args, get_origin

import numpy as np
import pytest
import torch

from gonio import losses, rules
from gonio.base.numbers import LARGEST, SMALLEST
from gonio.rules import Schedule
from gonio.rules.ranges import Range
from gonio.rules.reading import Checked, kinds_of


def parts(kind):
    """A type, and the types and ranges inside it."""
    yield kind
    if get_origin(kind) is Annotated:
        inner, *ranges = get_args(kind)
        yield from (*parts(inner), *ranges)
    elif get_origin(kind) is not None:
        for one in get_args(kind):
            yield from parts(one)


def settings_of(name):
    """Setting -> the types and ranges that it is made of."""
    row = losses.get(name)
    return {setting: list(parts(kinds_of(row.loss)[setting])) for setting in row.defaults}


def range_of(kinds):
    return next((one for one in kinds if isinstance(one, Range)), None)


@dataclass(frozen=True)
class Rocket(Schedule):
    """A schedule that leaves every range at some step."""

    def __call__(self, step):
        return 10.0**step

    def extremes(self):
        return 1.0, math.inf


def wrong_for(kinds):
    """What a setting of these types must refuse."""
    yield from ("no such word", [0.5], {"a": 1}, torch.full((3,), 0.5), np.array([0.5, 0.5]))
    yield from [] if bool in kinds else [True]
    yield from [] if type(None) in kinds else [None]
    yield from [] if float in kinds else [0.5]
    allowed = range_of(kinds)
    if int in kinds:
        yield allowed.low - 1
    elif allowed:
        low, high = allowed.low, allowed.high
        yield low if allowed.ends[0] == "(" else math.nextafter(low, -math.inf)
        yield high if allowed.ends[1] == ")" else math.nextafter(high, math.inf)
        yield from (math.inf, -math.inf, math.nan, 10**400, Rocket())


@pytest.mark.parametrize("name", losses.names())
def test_what_a_setting_cannot_be_is_refused_by_its_own_name(name):
    for setting, kinds in settings_of(name).items():
        for value in wrong_for(kinds):
            with pytest.raises((TypeError, ValueError), match=rf"^{setting}: "):
                losses.get(name).loss(**{setting: value})


def says(range_, text):
    if range_.high == 0:
        return "<= 0" in text
    if range_.high < LARGEST:
        return f"in {str(range_).removesuffix(range_.unit).strip()}" in text
    return {0: ">= 0", 1: ">= 1", SMALLEST: "> 0", -LARGEST: ""}[range_.low] in text


def test_every_number_has_a_range_and_the_docstring_says_it():
    silent, seen = [], 0
    for name in losses.names():
        for setting, kinds in settings_of(name).items():
            if {float, int} & set(kinds):
                seen += 1
                range_ = range_of(kinds)
                if range_ is None or not says(range_, losses.get(name).arguments[setting]):
                    silent.append((name, setting))
    assert silent == []
    assert seen > 120


def test_every_number_of_a_rule_has_a_range_and_is_read():
    parts_of_losses = [part for name in rules.__all__ if is_dataclass(part := getattr(rules, name))]
    classes = [part for part in parts_of_losses if isinstance(part, type)]
    unread = [
        (part.__name__, field.name)
        for part in classes
        for field in fields(part)
        if {float, int} & set(kinds := list(parts(kinds_of(part)[field.name])))
        and not (range_of(kinds) and issubclass(part, Checked))
    ]
    assert unread == [("PerClass", "values")]  # which reads them itself
    assert rules.Subtract(np.float32(0.25)) == rules.Subtract(0.25)
    with pytest.raises(TypeError, match=r"^value: got True; give a number or a schedule"):
        rules.Fixed(True)


@pytest.mark.parametrize(
    "number", [np.float32(0.25), np.float64(0.25), np.array(0.25), torch.tensor(0.25)], ids=repr
)
def test_a_number_of_another_library_is_that_number(number):
    loss = losses.arcface(margin=number, scale=np.int16(8))
    assert loss == losses.arcface(margin=0.25, scale=8.0)
    assert repr(loss) == repr(losses.arcface(margin=0.25, scale=8.0))


def test_a_number_that_would_learn_is_refused():
    with pytest.raises(ValueError, match=r"^margin: got a tensor that requires a gradient"):
        losses.arcface(margin=torch.nn.Parameter(torch.tensor(0.5)))


@pytest.mark.parametrize("classes", [1, 2, 6, 10**6])
@pytest.mark.parametrize("kind", ["C", "A"])
@pytest.mark.parametrize("weight", [0.5, 0.7, 1 - 1e-12, 1e-12])
@pytest.mark.parametrize("scale", [40.0, 1e4])
def test_the_first_border_of_sphereface2_balances_both_sides(classes, kind, weight, scale):
    """weight sigmoid(-target - b) = (1 - weight) (C - 1) sigmoid(negative + b), in logarithms."""
    start = losses.sphereface2(kind=kind, weight=weight, scale=scale).offset.start
    border = torch.tensor(start(classes), dtype=torch.float64)
    log_sigmoid = torch.nn.functional.logsigmoid
    pull = math.log(weight) + log_sigmoid(-start.target - border)
    push = math.log((1 - weight) * max(classes - 1, 1)) + log_sigmoid(start.negative + border)
    torch.testing.assert_close(pull, push, rtol=1e-9, atol=1e-9)
