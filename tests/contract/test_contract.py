"""Every row, every backend, every check."""

import contextlib

import pytest

from contract import golden
from contract.cases import BACKENDS, CASES, KERNELS, WITH_KERNELS
from contract.checks import (
    CHECKS,
    RISES_BY_DESIGN,
    NotApplicable,
    falls_with_the_target_angle,
    is_finite_everywhere,
)
from gonio import losses
from gonio.engines import Chunked

pytestmark = WITH_KERNELS
EVERY = BACKENDS | KERNELS


@pytest.mark.parametrize("backend", EVERY.values(), ids=EVERY.keys())
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_holds(case, check, backend):
    if check is falls_with_the_target_angle and case.id.endswith(RISES_BY_DESIGN):
        with pytest.raises(AssertionError):
            check(case, backend)
    else:
        with contextlib.suppress(NotApplicable):
            check(case, backend)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_rounded_products_are_finite_everywhere(case):
    """What else the contract asks for has more digits than bfloat16; `test_chunked.py` has its own."""
    is_finite_everywhere(case, Chunked(7, mode="stash", precision="bf16"))


def test_every_row_has_a_formula():
    missing = [name for name in losses.names() if not hasattr(golden, name.replace("-", "_"))]
    assert missing == []
