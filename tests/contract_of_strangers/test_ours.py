"""Every loss of the table holds the contract."""

import pytest

from gonio import losses
from gonio.contract import CHECKS, Sizes, examine, of_loss

SIZES = Sizes(num_classes=4, embedding_dim=3)
COMPILE = "torch.compile"


def subject(name, backend="auto"):
    """As `gonio check` takes it: the default backend against the other one."""
    loss = losses.get(name).loss()
    return of_loss(name, loss, backend).claims(of_loss(name, loss, "chunked"))


@pytest.mark.parametrize("name", losses.names())
def test_passes(name):
    ours = subject(name)
    checks = {check: CHECKS[check] for check in CHECKS if check != COMPILE}
    verdicts = {check: examine(ours, run, SIZES) for check, run in checks.items()}
    assert {check: one for check, one in verdicts.items() if one.status == "fail"} == {}


# one of each form of head, since tracing takes seconds
@pytest.mark.parametrize(
    "name",
    [
        "cosface",
        "arcface",
        "sub-center-arcface",
        "softmax",
        "npcface",
        "supcon",
    ],
)
@pytest.mark.parametrize("backend", ["reference", "chunked"])
def test_compiles(name, backend):
    verdict = examine(subject(name, backend), CHECKS[COMPILE], SIZES)
    assert verdict.status == "pass", verdict


def test_a_detached_gradient_is_no_failure_but_its_number_is_told():
    detached = of_loss("detached", losses.arcface(gradient="detached"))
    verdict = examine(detached, CHECKS["gradient is the derivative"], SIZES)
    assert verdict.status == "not applicable"
    assert verdict.number > 0.1
    assert "detached" in verdict.what
