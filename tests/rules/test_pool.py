import pytest
import torch

from gonio.rules import LogSumExp, Sum

SCORES = torch.tensor([[1.0, 3.0, 3.0, -2.0, 3.0], [0.5, 0.0, -1.0, 0.25, -torch.inf]])


def test_equal_maxima_share_the_slope_across_tiles():
    pool = LogSumExp(temperature=0)
    whole = pool.fold(SCORES)
    joined = pool.merge(pool.fold(SCORES[:, :2]), pool.fold(SCORES[:, 2:]))
    assert torch.equal(pool.value(joined), torch.tensor([3.0, 0.5]))
    assert torch.equal(pool.slope(SCORES, joined), pool.slope(SCORES, whole))
    shares = torch.tensor([[0, 1 / 3, 1 / 3, 0, 1 / 3], [1, 0, 0, 0, 0]])
    torch.testing.assert_close(pool.slope(SCORES, joined), shares)


@pytest.mark.parametrize("pool", [LogSumExp(0), LogSumExp(0.3), LogSumExp(), LogSumExp(5), Sum()])
def test_the_slope_is_the_derivative_of_the_value(pool):
    scores = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    state = pool.fold(scores)
    (grad,) = torch.autograd.grad(pool.value(state).sum(), scores)
    torch.testing.assert_close(pool.slope(scores, state), grad)


@pytest.mark.parametrize("pool", [LogSumExp(0), LogSumExp(0.3), LogSumExp(), Sum()])
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
    assert not pool.slope(nothing, state).any()


def test_huge_scores_do_not_overflow():
    scores = torch.tensor([[1e30, 1e30, -1e30]])
    pool = LogSumExp()
    assert pool.value(pool.fold(scores)).item() == pytest.approx(1e30)


def test_not_a_number_is_not_hidden():
    for pool in (LogSumExp(0), LogSumExp(), Sum()):
        state = pool.fold(torch.tensor([[1.0, torch.nan]]))
        assert pool.value(state).isnan().all()
