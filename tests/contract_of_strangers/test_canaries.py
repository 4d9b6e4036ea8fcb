"""Deliberately wrong losses: the check that is meant for a defect reports it, or it proves nothing."""

import pytest

from gonio import losses
from gonio.contract import POINTS, Sizes, examine, imported, of_loss

SIZES = Sizes(num_classes=7, embedding_dim=5)
COSFACE = of_loss("cosface", losses.cosface(margin=0.35, scale=8.0))
ARCFACE = of_loss("arcface", losses.arcface())

VALUE, NEAR, SLOPE = "value is the formula's", "value near cosine ±1", "gradient is the derivative"
SLOPE_NEAR, FALLS = "gradient near cosine ±1", "target falls with its angle"
POLES, NORMS = "finite at cosine ±1", "finite at zero and huge norms"
SINGLE, HALF, BRAIN = "float32 embeddings", "float16 embeddings", "bfloat16 embeddings"
IGNORED, RANGE = "ignored label", "labels out of range"
ORDER, APART, NUMBERS = "order of samples", "samples do not meet", "numbers of classes"
ALONE, DTYPE, TWICE, COMPILE = (
    "a batch of one",
    "dtype of the weight",
    "second backward",
    "torch.compile",
)
CANARIES = [
    ("SignFlipped", VALUE, (SLOPE, FALLS, APART, NUMBERS, POLES)),
    ("degrees_for_radians", VALUE, (SLOPE, SLOPE_NEAR, FALLS, POLES)),
    ("DeadNextToItsClass", NEAR, (VALUE, SLOPE, FALLS, POLES)),
    ("StraightThrough", SLOPE, (POLES, ORDER, APART, NUMBERS)),
    ("WrongInOneRow", SLOPE, (VALUE, NEAR, FALLS, APART, TWICE)),
    ("NoGradientNextToItsClass", SLOPE_NEAR, (SLOPE, NORMS, APART, NUMBERS)),
    ("rises_past_pi", FALLS, (SLOPE, SLOPE_NEAR, APART, POLES)),
    ("Arccos", POLES, (SLOPE, NORMS, APART, NUMBERS)),
    ("NormWithoutEpsilon", NORMS, (VALUE, SLOPE, POLES, SINGLE)),
    ("RoundsFloat32", SINGLE, (VALUE, SLOPE, APART, DTYPE)),
    ("InHalfPrecision", HALF, (ORDER, APART, DTYPE)),
    ("InHalfPrecision", BRAIN, (ORDER, APART, DTYPE)),
    ("OneDtype", HALF, (VALUE, SLOPE, SINGLE)),
    ("OneDtype", BRAIN, (VALUE, SLOPE, SINGLE)),
    ("TrainsIgnoredRows", IGNORED, (VALUE, SLOPE, RANGE, APART)),
    ("TrainsUnlabelledRows", RANGE, (VALUE, SLOPE, APART)),
    ("WeighsByPlace", ORDER, (VALUE, SLOPE, NUMBERS, FALLS)),
    ("Leaks", APART, (SLOPE, ORDER, NUMBERS, POLES)),
    ("Variance", ALONE, (SLOPE, ORDER, NUMBERS)),
    ("FavoursAClass", NUMBERS, (SLOPE, ORDER, APART, POLES)),
    ("CastsItsWeight", DTYPE, (VALUE, SLOPE, SINGLE)),
    ("BackwardOnce", TWICE, (VALUE, SLOPE, ORDER, APART)),
    ("BreaksTheGraph", COMPILE, (VALUE, SLOPE, ORDER, APART, TWICE)),
]
"""A slip, the point that must catch it, and points that must stay silent."""
ONE_ENGINE = "same by another engine"
"""What a stranger is not asked."""


def test_every_point_has_its_canary():
    assert {point for _, point, _ in CANARIES} == set(POINTS) - {ONE_ENGINE}


@pytest.mark.parametrize("check", [name for name in POINTS if name != ONE_ENGINE])
def test_the_right_one_passes(check):
    subject = imported("contract_of_strangers.wrong:Right", {}).claims(COSFACE)
    verdict = examine(subject, POINTS[check], SIZES)
    assert verdict.status == "pass", verdict


def test_breaks_that_are_asked_for_are_none():
    subject = imported("contract_of_strangers.wrong:AsksForBreaks", {})
    verdict = examine(subject, POINTS["torch.compile"], SIZES)
    assert (verdict.status, verdict.number) == ("pass", 0)
    assert "asked for by torch.compiler.disable" in verdict.what


@pytest.mark.parametrize(("name", "point", "silent"), CANARIES)
def test_is_caught_by_the_point_that_is_named_alone(name, point, silent):
    subject = imported(f"contract_of_strangers.wrong:{name}", {})
    subject = subject.claims(ARCFACE if name == "degrees_for_radians" else COSFACE)
    found = {one: examine(subject, POINTS[one], SIZES).status for one in (point, *silent)}
    assert found == {point: "fail"} | dict.fromkeys(silent, "pass")
