"""Deliberately wrong rules and backends: each must fail a check, or the contract proves nothing."""

import math
from dataclasses import dataclass, replace

import pytest
import torch
from torch.autograd.gradcheck import GradcheckError

from contract.cases import Case, case
from contract.checks import CHECKS, NotApplicable
from gonio.engines import Chunked, reference
from gonio.rules import AngularMargin, Detached, Subtract

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


def leaves_the_own_class_in(x, classes, sample, labels, loss):
    return reference(x, classes, sample, torch.full_like(labels, -1), loss)


def drops_the_last_class(x, classes, sample, labels, loss):
    fewer = classes._replace(weight=classes.weight[:-1])
    return Chunked(7)(x, fewer, sample, labels, loss)


def forgets_the_gradient_of_the_facts(x, classes, sample, labels, loss):
    return reference(x, classes, type(sample)(*(fact.detach() for fact in sample)), labels, loss)


def wrong(right: Case, **parts: object) -> Case:
    return Case(right.id, replace(right.loss, **parts), right.formula)


CANARIES = {
    "sign flipped": (wrong(COSFACE, target=AngularMargin(subtract=-0.35)), reference),
    "degrees for radians": (wrong(ARCFACE, target=AngularMargin(add=math.radians(0.5))), reference),
    "gradient detached": (wrong(ARCFACE, target=QuietlyDetached()), reference),
    "samples leak": (wrong(COSFACE, target=LeaksAcrossSamples()), reference),
    "arccos": (wrong(ARCFACE, target=NaiveArccos()), reference),
    "clamped arccos": (wrong(ARCFACE, target=ClampedArccos()), reference),
    "negatives compared": (wrong(COSFACE, negative=ComparesNegatives()), reference),
    "margin forgotten": (wrong(COSFACE, target=ForgetsTheMarginOfWrongSamples()), reference),
    "negatives detached": (wrong(COSFACE, negative=DetachedNegative()), reference),
    "rises past pi": (wrong(ARCFACE, target=AngularMargin(add=0.5, past_pi="raw")), reference),
    "own class in the pool": (COSFACE, leaves_the_own_class_in),
    "last class dropped": (COSFACE, drops_the_last_class),
    "scale's gradient lost": (case("normface", {}), forgets_the_gradient_of_the_facts),
    "margin ignored": (wrong(COSFACE, target=Subtract(0.0)), reference),
}


@pytest.mark.parametrize(("canary", "backend"), CANARIES.values(), ids=CANARIES.keys())
def test_is_caught(canary, backend):
    caught = []
    for check in CHECKS:
        try:
            check(canary, backend)
        except NotApplicable:
            continue
        except (AssertionError, GradcheckError) as failure:
            caught.append(f"{check.__name__}: {type(failure).__name__}")
    assert caught, "a wrong loss passed the whole contract"
