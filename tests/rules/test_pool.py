import math

import pytest
import torch

from gonio.rules import KthLargest, LogSumExp, Mean, SoftplusSum, Sum, WithSum

SCORES = torch.tensor([[1.0, 3.0, 3.0, -2.0, 3.0], [0.5, 0.0, -1.0, 0.25, -torch.inf]])


def slope(pool, scores, state):
    return pool.push(scores, state, torch.ones(len(scores), dtype=scores.dtype))


POOLS = [
    LogSumExp(0),
    LogSumExp(0.3),
    LogSumExp(),
    LogSumExp(5),
    LogSumExp(2.0).within(10.0, 6),
    Sum(),
    Mean(),
    SoftplusSum(),
]


def test_equal_maxima_share_the_slope_across_tiles():
    pool = LogSumExp(temperature=0)
    whole = pool.fold(SCORES)
    joined = pool.merge(pool.fold(SCORES[:, :2]), pool.fold(SCORES[:, 2:]))
    assert torch.equal(pool.value(joined), torch.tensor([3.0, 0.5]))
    assert torch.equal(slope(pool, SCORES, joined), slope(pool, SCORES, whole))
    shares = torch.tensor([[0, 1 / 3, 1 / 3, 0, 1 / 3], [1, 0, 0, 0, 0]])
    torch.testing.assert_close(slope(pool, SCORES, joined), shares)


@pytest.mark.parametrize("cut", range(6))
def test_the_kth_largest_shares_the_slope_across_tiles(cut):
    pool = KthLargest(2)
    parts = [part for part in (SCORES[:, :cut], SCORES[:, cut:]) if part.shape[1]]
    states = [pool.fold(part) for part in parts]
    joined = states[0] if len(states) == 1 else pool.merge(*states)
    assert torch.equal(pool.value(joined), torch.tensor([3.0, 0.25]))
    shares = torch.tensor([[0, 1 / 3, 1 / 3, 0, 1 / 3], [0, 0, 0, 1, 0]])
    torch.testing.assert_close(slope(pool, SCORES, joined), shares)


@pytest.mark.parametrize("pool", POOLS, ids=str)
def test_the_slope_is_the_derivative_of_the_value(pool):
    scores = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    state = pool.fold(scores)
    (grad,) = torch.autograd.grad(pool.value(state).sum(), scores)
    torch.testing.assert_close(slope(pool, scores, state), grad)


@pytest.mark.parametrize("pool", [*POOLS, *map(WithSum, POOLS)], ids=str)
def test_tiles_join_in_any_order_and_grouping(pool):
    scores = torch.randn(4, 9, dtype=torch.float64)
    a, b, c = (pool.fold(part) for part in scores.split(3, dim=1))
    expected = pool.value(pool.fold(scores))
    for joined in (pool.merge(pool.merge(a, b), c), pool.merge(c, pool.merge(b, a))):
        torch.testing.assert_close(pool.value(joined), expected)


@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.0])
def test_nothing_to_pool_is_minus_infinity_with_no_slope(temperature):
    pool = LogSumExp(temperature)
    nothing = torch.full((2, 3), -torch.inf)
    state = pool.merge(pool.fold(nothing), pool.fold(nothing))
    assert pool.value(state).tolist() == [-torch.inf] * 2
    assert not slope(pool, nothing, state).any()


def test_huge_scores_do_not_overflow():
    scores = torch.tensor([[1e30, 1e30, -1e30]])
    pool = LogSumExp()
    assert pool.value(pool.fold(scores)).item() == pytest.approx(1e30)


def test_not_a_number_is_not_hidden():
    for pool in (LogSumExp(0), LogSumExp(), Sum()):
        state = pool.fold(torch.tensor([[1.0, torch.nan]]))
        assert pool.value(state).isnan().all()


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


def test_a_pool_with_the_sum_is_both():
    scores = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    pool = WithSum(LogSumExp())
    value = pool.value(pool.fold(scores))
    torch.testing.assert_close(value[:, 0], scores.logsumexp(dim=1))
    torch.testing.assert_close(value[:, 1], scores.sum(dim=1))
    grad = torch.randn(4, 2, dtype=torch.float64)
    (expected,) = torch.autograd.grad(value, scores, grad)
    torch.testing.assert_close(pool.push(scores, pool.fold(scores), grad), expected)
