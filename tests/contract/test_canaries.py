"""Slips in rules, pools and engines, injected one at a time: the point that is named catches it alone."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
import torch

from contract.cases import Case, case
from gonio.contract import POINTS, Sizes, examine
from gonio.engines import Chunked, Reference
from gonio.engines.seam import Engine, Held, Query
from gonio.ranks import ALONE
from gonio.rules import AngularMargin, Detached, LogSumExp, Subtract
from gonio.rules.facts import Sample

ARCFACE = case("arcface", {"scale": 8.0})
COSFACE = case("cosface", {"scale": 8.0})


@dataclass(frozen=True)
class LeaksAcrossSamples:
    def __call__(self, cosine, sample):
        return cosine - 0.35 * (cosine > cosine.mean())


@dataclass(frozen=True)
class NaiveArccos:
    def __call__(self, cosine, sample):
        return (cosine.clamp(-1, 1).acos() + 0.5).cos()


@dataclass(frozen=True)
class ClampedArccos:
    def __call__(self, cosine, sample):
        angle = cosine.clamp(-1 + 1e-7, 1 - 1e-7).acos() + 0.5
        return torch.where(angle > math.pi, -2 - angle.cos(), angle.cos())


@dataclass(frozen=True)
class ComparesNegatives:
    def __call__(self, cosine, sample):
        return cosine + 0.1 * (cosine > cosine.mean(dim=1, keepdim=True))


@dataclass(frozen=True)
class ForgetsTheMarginOfWrongSamples:
    def __call__(self, cosine, sample):
        return torch.where(cosine > 0, cosine - 0.35, cosine)


@dataclass(frozen=True)
class DetachedNegative:
    def __call__(self, cosine, sample):
        return cosine.detach()


@dataclass(frozen=True)
class QuietlyDetached:
    """The straight-through form, under the name of the exact one."""

    def __call__(self, cosine, sample):
        return Detached(AngularMargin(add=0.5))(cosine, sample)


@dataclass(frozen=True)
class AddsSumsAsTheyAre(LogSumExp):
    """Merges two tiles without a common maximum."""

    def within(self, bound, num):
        return self

    def merge(self, a, b):
        return torch.maximum(a[0], b[0]), a[1] + b[1]


@dataclass(frozen=True)
class Slip(Engine):
    """The reference engine, asked another question than it was asked."""

    change: Callable[[Query, Held], tuple[Query, Held]]
    engine: Engine = Reference()

    def __call__(self, query, held, workspace, ranks=ALONE):
        return self.engine(*self.change(query, held), workspace, ranks)


def leaves_the_own_class_in(query, held):
    return query._replace(labels=torch.full_like(query.labels, -1)), held


def drops_the_last_class(query, held):
    return query, held._replace(weight=held.weight[:-1])


def forgets_the_gradient_of_the_facts(query, held):
    return query._replace(sample=query.sample.map(torch.Tensor.detach)), held


def takes_the_scale_of_the_next_row(query, held):
    _, *rest = query.sample.facts()
    return query._replace(sample=Sample(query.sample.scale.roll(1, 0), *rest)), held


def halves_the_gradient_of_the_weight(query, held):
    return query, held._replace(weight=0.5 * held.weight + 0.5 * held.weight.detach())


def rounds_float32(query, held):
    x = query.x
    rounded = x.to(torch.bfloat16).to(x.dtype) if x.dtype == torch.float32 else x
    return query._replace(x=rounded), held


def wrong(right: Case, **parts: object) -> Case:
    return Case(right.id, replace(right.loss, **parts), right.formula)


VALUE, NEAR, SLOPE = "value is the formula's", "value near cosine ±1", "gradient is the derivative"
AGREES, FALLS, POLES = (
    "same by another engine",
    "target falls with its angle",
    "finite at cosine ±1",
)
ORDER, APART, NUMBERS = "order of samples", "samples do not meet", "numbers of classes"
SINGLE = "float32 embeddings"

CANARIES = {
    "sign flipped": (
        wrong(COSFACE, target=AngularMargin(subtract=-0.35)),
        "reference",
        VALUE,
        (SLOPE, FALLS, POLES, APART),
    ),
    "degrees for radians": (
        wrong(ARCFACE, target=AngularMargin(add=math.radians(0.5))),
        "reference",
        VALUE,
        (SLOPE, FALLS, POLES, APART),
    ),
    "margin ignored": (
        wrong(COSFACE, target=Subtract(0.0)),
        "reference",
        VALUE,
        (SLOPE, FALLS, POLES, APART),
    ),
    "margin forgotten where samples are wrong": (
        wrong(COSFACE, target=ForgetsTheMarginOfWrongSamples()),
        "reference",
        FALLS,
        (SLOPE, POLES, ORDER, APART, NUMBERS),
    ),
    "rises past pi": (
        wrong(ARCFACE, target=AngularMargin(add=0.5, past_pi="raw")),
        "reference",
        FALLS,
        (SLOPE, POLES, ORDER, APART, NUMBERS),
    ),
    "clamped arccos": (
        wrong(ARCFACE, target=ClampedArccos()),
        "reference",
        NEAR,
        (SLOPE, POLES, APART),
    ),
    "arccos": (wrong(ARCFACE, target=NaiveArccos()), "reference", POLES, (SLOPE, ORDER, APART)),
    "gradient detached": (
        wrong(ARCFACE, target=QuietlyDetached()),
        "reference",
        SLOPE,
        (VALUE, NEAR, FALLS, APART, POLES),
    ),
    "negatives detached": (
        wrong(COSFACE, negative=DetachedNegative()),
        "reference",
        SLOPE,
        (VALUE, NEAR, FALLS, APART, POLES),
    ),
    "samples leak": (
        wrong(COSFACE, target=LeaksAcrossSamples()),
        "reference",
        APART,
        (SLOPE, ORDER, NUMBERS, POLES),
    ),
    "negatives compared in a tile": (
        wrong(COSFACE, negative=ComparesNegatives()),
        Chunked(1),
        AGREES,
        (ORDER, APART, NUMBERS, POLES),
    ),
    "sums merged as they are": (
        wrong(COSFACE, pool=AddsSumsAsTheyAre()),
        Chunked(2),
        AGREES,
        (ORDER, APART, POLES),
    ),
    "own class in the pool": (
        COSFACE,
        Slip(leaves_the_own_class_in),
        AGREES,
        (SLOPE, ORDER, APART, NUMBERS, POLES),
    ),
    "last class dropped": (
        COSFACE,
        Slip(drops_the_last_class, Chunked(7)),
        AGREES,
        (SLOPE, ORDER, APART, POLES),
    ),
    "scale's gradient lost": (
        case("normface", {}),
        Slip(forgets_the_gradient_of_the_facts),
        SLOPE,
        (VALUE, NEAR, FALLS, APART, POLES),
    ),
    "weight's gradient halved": (
        COSFACE,
        Slip(halves_the_gradient_of_the_weight),
        SLOPE,
        (VALUE, NEAR, FALLS, APART, POLES),
    ),
    "scale of another row": (
        case("sphereface", {}),
        Slip(takes_the_scale_of_the_next_row),
        APART,
        (NUMBERS, POLES, "a batch of one"),
    ),
    "float32 rounded": (COSFACE, Slip(rounds_float32), SINGLE, (VALUE, SLOPE, AGREES, POLES)),
}
"""A loss, its engine, the point that must catch the slip, and points that must stay silent."""


@pytest.mark.parametrize(
    ("canary", "engine", "point", "silent"), CANARIES.values(), ids=CANARIES.keys()
)
def test_is_caught_by_the_point_that_is_named_alone(canary, engine, point, silent):
    subject = canary.subject(engine)
    found = {one: examine(subject, POINTS[one], Sizes(7, 5)).status for one in (point, *silent)}
    assert found == {point: "fail"} | dict.fromkeys(silent, "pass")
