"""Every row, every backend, every check."""

import contextlib

import pytest

from contract import golden
from contract.cases import BACKENDS, CASES
from contract.checks import (
    CHECKS,
    RISES_BY_DESIGN,
    NotApplicable,
    falls_with_the_target_angle,
)
from gonio import losses


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=BACKENDS.keys())
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_holds(case, check, backend):
    if check is falls_with_the_target_angle and case.id.endswith(RISES_BY_DESIGN):
        with pytest.raises(AssertionError):
            check(case, backend)
    else:
        with contextlib.suppress(NotApplicable):
            check(case, backend)


def test_every_row_has_a_formula():
    missing = [name for name in losses.names() if not hasattr(golden, name.replace("-", "_"))]
    assert missing == []
