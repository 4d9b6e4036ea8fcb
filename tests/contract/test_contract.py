"""Every row and every engine, each point over what it depends on."""

from dataclasses import replace

import pytest
import torch

from contract import golden
from contract.cases import BACKENDS, CASES, KERNELS, WITH_KERNELS
from gonio import losses
from gonio.contract import POINTS, Sizes, examine, of_loss
from gonio.engines import Chunked, Fused
from gonio.rules import Bias

pytestmark = WITH_KERNELS

OF_THE_LOSS = [name for name, point in POINTS.items() if point.depends_on <= {"formula"}]
OF_THE_DTYPE = [name for name, point in POINTS.items() if "dtype" in point.depends_on]
FINITE = ["finite at cosine ±1", "finite at zero and huge norms"]
AGREES, TWICE, COMPILES = "same by another engine", "second backward", "torch.compile"
MEET = "samples do not meet"
OF_CLASSES = {
    "value near cosine ±1",
    "gradient near cosine ±1",
    "target falls with its angle",
    "labels out of range",
    "numbers of classes",
    "dtype of the weight",
}
"""Points that say nothing of a loss that compares samples with each other."""
OF_DERIVATIVES = {"gradient is the derivative", "gradient near cosine ±1"}
"""Points that say nothing of a gradient that is detached by name."""
RISES_BY_DESIGN = ("past_pi=raw", "past_pi=easy")
"""Published variants whose target jumps or rises, as `AngularMargin` says."""

STREAMED = {name: engine for name, engine in BACKENDS.items() if name != "reference"}
SMALL = (Sizes(1, 3), Sizes(2, 2), Sizes(40, 3))
"""Without a negative, with one, and of many tiles."""


def applies(point, case):
    if point == MEET and case.loss.is_batchwise:
        return False
    if point in OF_CLASSES and not case.has_weight:
        return False
    return not (point in OF_DERIVATIVES and case.loss.is_detached)


def seen_by_engines(loss):
    """The parts of a loss that an engine computes with; all else is outside of it."""
    return (loss.score, loss.negative, loss.pool, loss.offset, loss.scale, loss.pairing)


# the first row of each
SEEN = list({seen_by_engines(case.loss): case for case in reversed(CASES)}.values())
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
every_seen = pytest.mark.parametrize("case", SEEN, ids=lambda case: case.id)
on_every_dtype = pytest.mark.parametrize("point", OF_THE_DTYPE)


def holds(subject, point, sizes):
    verdict = examine(subject, POINTS[point], sizes)
    assert verdict.status == "pass", verdict


@pytest.mark.parametrize(
    ("case", "point"),
    [
        pytest.param(case, point, id=f"{case.id}-{point}")
        for case in CASES
        for point in OF_THE_LOSS
        if applies(point, case)
    ],
)
def test_a_loss_holds(case, point):
    if point == "target falls with its angle" and case.id.endswith(RISES_BY_DESIGN):
        assert examine(case.subject(), POINTS[point], Sizes(5, 4)).status == "fail"
    else:
        holds(case.subject(), point, Sizes(5, 4))


@on_every_dtype
@every_case
def test_the_reference_holds_in_every_dtype(case, point):
    holds(case.subject(), point, Sizes(5, 4))


@pytest.mark.parametrize("engine", STREAMED.values(), ids=STREAMED)
@every_seen
def test_an_engine_is_the_reference(case, engine):
    subject = case.subject(engine)
    for sizes in (Sizes(23, 5), *SMALL):
        holds(subject, AGREES, sizes)


@pytest.mark.parametrize("mode", ["stash", "recompute"])
@on_every_dtype
@every_seen
def test_tiles_hold_in_every_dtype(case, point, mode):
    holds(case.subject(Chunked(7, mode=mode)), point, Sizes(9, 4))


@pytest.mark.parametrize("engine", KERNELS.values(), ids=KERNELS)
@pytest.mark.parametrize("point", [name for name in OF_THE_DTYPE if name.endswith("embeddings")])
@every_seen
def test_kernels_keep_the_digits_of_every_dtype(case, point, engine):
    holds(launched(case, engine), point, Sizes(23, 4))


@pytest.mark.parametrize("point", FINITE)
@every_seen
def test_kernels_are_finite(case, point):
    """In float32: what rounds embeddings to halves is outside of a kernel."""
    subject = case.subject(Fused(4, mode="recompute"))
    holds(replace(subject, precisions=(torch.float32,)), point, Sizes(5, 4))


@pytest.mark.parametrize("engine", [Chunked(7), *KERNELS.values()], ids=["tile=7", *KERNELS])
@every_seen
def test_a_graph_is_left_whole_by_backward(case, engine):
    subject = launched(case, engine) if engine in KERNELS.values() else case.subject(engine)
    holds(subject, TWICE, Sizes(23, 4))


def launched(case, engine):
    """With a kernel that knows no float64."""
    subject = case.subject(engine)
    return replace(subject, precisions=(torch.float32, torch.bfloat16, torch.float16))


@every_case
@pytest.mark.parametrize("point", FINITE)
def test_rounded_products_are_finite(case, point):
    """What else the contract asks for has more digits than bfloat16; `test_chunked.py` has its own."""
    holds(case.subject(Chunked(7, mode="stash", precision="bf16")), point, Sizes(5, 4))


def test_an_offset_may_make_scores_wider_than_any_sum_without_a_maximum_holds():
    """Bounded by their scale, cosines can do without the maximum; beside a wide bias they cannot."""
    subject = of_loss("wide", replace(losses.cosface(), offset=Bias()), Chunked(7))
    batch = subject.batch(Sizes(23, 5))
    wide = replace(batch, bias=100 * batch.bias)
    verdict = POINTS["float32 embeddings"].check(subject, wide)
    assert verdict.status == "pass", verdict


# one of each form of head, since tracing takes seconds
@pytest.mark.parametrize(
    "name", ["cosface", "arcface", "sub-center-arcface", "softmax", "npcface", "supcon"]
)
@pytest.mark.parametrize("engine", ["reference", "chunked"])
def test_compiles(name, engine):
    case = next(case for case in CASES if case.id == name)
    holds(case.subject(engine), COMPILES, Sizes(4, 3))


def test_every_row_has_a_formula():
    missing = [name for name in losses.names() if not hasattr(golden, name.replace("-", "_"))]
    assert missing == []


def test_a_detached_gradient_is_no_failure_but_its_number_is_told():
    detached = of_loss("detached", losses.arcface(gradient="detached"))
    verdict = examine(detached, POINTS["gradient is the derivative"], Sizes(7, 5))
    assert verdict.status == "not applicable"
    assert verdict.number > 0.1
    assert "detached" in verdict.what
