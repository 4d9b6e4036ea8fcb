import math

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from gonio.rules import KthLargest, LogSumExp, Mean, SoftplusSum, Sum, WithSum

BOUND, NUM = 80.0, 8
SHIFTED = LogSumExp().within(BOUND, NUM)
POOLS = [
    *map(LogSumExp, (0, 0.3, 1, 5)),
    SHIFTED,
    Sum(),
    Mean(),
    SoftplusSum(),
    *map(KthLargest, (1, 2, 5)),
]
POOLS += [WithSum(LogSumExp()), WithSum(SHIFTED)]


def by_definition(pool, scores):
    """The value of a row of scores and its slope in each of them, in float64, without folding."""
    is_in = (scores > -math.inf).double()
    kept = scores[scores > -math.inf]
    if isinstance(pool, WithSum):
        (value, slope), (total, ones) = (by_definition(part, scores) for part in (pool.pool, Sum()))
        return torch.stack([value, total]), slope + ones
    if isinstance(pool, Sum):
        return kept.sum(), is_in
    if isinstance(pool, Mean):
        return kept.sum() / max(1, len(kept)), is_in / max(1, len(kept))
    if isinstance(pool, SoftplusSum):
        return torch.logaddexp(kept, torch.zeros(())).sum(), 1 / (1 + (-scores).exp())
    k = pool.k if isinstance(pool, KthLargest) else 1
    if len(kept) < k:
        return torch.tensor(-math.inf), torch.zeros_like(scores)
    if isinstance(pool, KthLargest) or (pool != SHIFTED and pool.temperature == 0):
        kth = kept.sort().values[-k]
        return kth, (scores == kth) / (scores == kth).sum()
    weight = ((scores - kept.max()) / pool.temperature).exp()
    return kept.max() + pool.temperature * weight.sum().log(), weight / weight.sum()


def slope(pool, scores, state, grad=1.0):
    width = (2,) if isinstance(pool, WithSum) else ()
    return pool.push(scores, state, scores.new_full((len(scores), *width), grad))


NUMBERS = st.floats(-1e4, 1e4, width=32) | st.sampled_from([-math.inf, -2.0, 0.0, 3.0, 80.0])
ROWS = st.integers(0, NUM).flatmap(
    lambda width: st.lists(
        st.lists(NUMBERS, min_size=width, max_size=width), min_size=2, max_size=2
    )
)


@pytest.mark.parametrize("pool", POOLS, ids=str)
@given(rows=ROWS, cuts=st.tuples(st.integers(0, NUM), st.integers(0, NUM)))
@example(rows=[[1.0, 3.0, 3.0, -2.0, 3.0], [-math.inf] * 5], cuts=(2, 2))
@example(rows=[[-80.0], [80.0]], cuts=(0, 1))
def test_a_pool_of_parts_is_that_of_the_whole(pool, rows, cuts):
    """Parts of any size, some of them empty, joined in any grouping and order: value and slope by definition."""
    scores = torch.tensor(rows)
    if pool in (SHIFTED, WithSum(SHIFTED)):
        scores = scores.where(scores == -math.inf, scores.clamp(-BOUND, BOUND))
    first, last = sorted(min(cut, scores.shape[1]) for cut in cuts)
    a, b, c = (pool.fold(part) for part in scores.tensor_split((first, last), dim=1))
    found = [by_definition(pool, row) for row in scores.double()]
    value, push = (torch.stack(parts).float() for parts in zip(*found, strict=True))
    sizes = 1 + scores.where(scores > -math.inf, 0).abs().sum(dim=1)  # they round the sums
    for state in (pool.merge(pool.merge(a, b), c), pool.merge(c, pool.merge(b, a))):
        for got, want, size in zip(pool.value(state), value, sizes, strict=True):
            torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-6 * float(size))
        torch.testing.assert_close(slope(pool, scores, state), push, rtol=3e-5, atol=1e-6)
    for one, other in zip(pool.merge(a, b), pool.merge(b, a), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("pool", POOLS, ids=str)
def test_the_slope_is_the_derivative_of_the_value(pool):
    scores = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    state = pool.fold(scores)
    grad = torch.randn_like(pool.value(state))
    (expected,) = torch.autograd.grad(pool.value(state), scores, grad)
    torch.testing.assert_close(pool.push(scores, state, grad), expected)


@pytest.mark.parametrize("pool", [LogSumExp(), SHIFTED], ids=str)
@pytest.mark.parametrize("grad", [1e-30, 65_536.0, 1e30])
@pytest.mark.parametrize("edge", [BOUND, -BOUND])
def test_the_shares_do_not_depend_on_the_unit_of_the_gradient(pool, grad, edge):
    """The share of one of two equal negatives is 1/2, where the sum of e^score is near the ends of float32."""
    scores = torch.full((1, 2), edge)
    pushed = slope(pool, scores, pool.fold(scores), grad)
    torch.testing.assert_close(pushed, torch.full((1, 2), grad / 2), rtol=1e-6, atol=0)


def test_huge_scores_do_not_overflow():
    scores = torch.tensor([[1e30, 1e30, -1e30]])
    pool = LogSumExp()
    assert pool.value(pool.fold(scores)).item() == pytest.approx(1e30)


@pytest.mark.parametrize("pool", POOLS[:8], ids=str)
def test_not_a_number_is_not_hidden(pool):
    assert pool.value(pool.fold(torch.tensor([[1.0, torch.nan]]))).isnan().all()


def test_bounded_scores_need_no_maximum():
    """At the largest scale that float32 can do without, both ends keep their digits."""
    num = 1000
    bound = (175 - math.log(num)) / 2 - 0.01
    plain = LogSumExp()
    pool = plain.within(bound, num)
    assert pool != plain
    assert plain.within(bound + 0.02, num) == plain
    for edge in (bound, -bound):
        scores = torch.full((1, num), edge)
        # float32 rounds 84 to 4e-6, before and after the sum
        torch.testing.assert_close(
            pool.value(pool.fold(scores)), plain.value(plain.fold(scores)), rtol=0, atol=2e-5
        )
        share = slope(pool, scores, pool.fold(scores))
        torch.testing.assert_close(share, torch.full_like(share, 1 / num), rtol=1e-4, atol=0)
