"""Deliberately wrong losses: the check that is meant for a defect reports it, or it proves nothing."""

import pytest

from gonio import losses
from gonio.contract import CHECKS, Sizes, examine, imported, of_loss

SIZES = Sizes(num_classes=7, embedding_dim=5)
COSFACE = of_loss("cosface", losses.cosface(margin=0.35, scale=8.0))
ARCFACE = of_loss("arcface", losses.arcface())

CANARIES = [
    ("SignFlipped", "value is the formula's"),
    ("degrees_for_radians", "value is the formula's"),
    ("StraightThrough", "gradient is the derivative"),
    ("rises_past_pi", "target falls with its angle"),
    ("Arccos", "finite at cosine ±1"),
    ("NormWithoutEpsilon", "finite at zero and huge norms"),
    ("InHalfPrecision", "float16 embeddings"),
    ("InHalfPrecision", "bfloat16 embeddings"),
    ("OneDtype", "float16 embeddings"),
    ("OneDtype", "bfloat16 embeddings"),
    ("TrainsIgnoredRows", "ignored label"),
    ("TrainsUnlabelledRows", "labels out of range"),
    ("WeighsByPlace", "order of samples"),
    ("Leaks", "samples do not meet"),
    ("FavoursAClass", "numbers of classes"),
    ("CastsItsWeight", "dtype of the weight"),
    ("BackwardOnce", "second backward"),
    ("BreaksTheGraph", "torch.compile"),
]


def test_every_check_has_its_canary():
    assert {check for _, check in CANARIES} == set(CHECKS)


@pytest.mark.parametrize("check", CHECKS)
def test_the_right_one_passes(check):
    subject = imported("contract_of_strangers.wrong:Right", {}).claims(COSFACE)
    verdict = examine(subject, CHECKS[check], SIZES)
    assert verdict.status == "pass", verdict


def test_breaks_that_are_asked_for_are_none():
    subject = imported("contract_of_strangers.wrong:AsksForBreaks", {})
    verdict = examine(subject, CHECKS["torch.compile"], SIZES)
    assert (verdict.status, verdict.number) == ("pass", 0)
    assert "asked for by torch.compiler.disable" in verdict.what


@pytest.mark.parametrize(("name", "check"), CANARIES)
def test_is_caught(name, check):
    subject = imported(f"contract_of_strangers.wrong:{name}", {})
    subject = subject.claims(ARCFACE if name == "degrees_for_radians" else COSFACE)
    verdict = examine(subject, CHECKS[check], SIZES)
    assert verdict.status == "fail", verdict
