"""The survey's numbers and identities, with its misprints corrected."""

import math

import pytest
import torch
import torch.nn.functional as F

import gonio
from gonio import losses
from gonio.loss import target_curve
from gonio.rules import LogSumExp

SCORES = torch.tensor([[1.0, 2.0, 3.0, 4.0]], dtype=torch.float64)


def shares(scores, temperature=1.0):
    pool = LogSumExp(temperature)
    grad = torch.ones(len(scores), dtype=scores.dtype)
    return pool.push(scores, pool.fold(scores), grad)[0].tolist()


@pytest.mark.parametrize(
    ("factor", "softmax", "lse"),
    [
        (1, [0.03205860, 0.08714432, 0.23688282, 0.64391426], 4.44018970),
        # the survey prints .9999 and then 1.00; to 8 places it is .99995460
        (10, [9.357198e-14, 2.061060e-9, 4.539787e-5, 0.99995460], 40.00004540),
        (0.1, [0.21383822, 0.23632778, 0.26118259, 0.28865141], 1.64253553),
    ],
)
def test_scale_controls_how_soft_the_maximum_is(factor, softmax, lse):
    scores = factor * SCORES
    assert shares(scores) == pytest.approx(softmax, rel=1e-7, abs=5e-9)
    assert LogSumExp().value(LogSumExp().fold(scores)).item() == pytest.approx(lse, abs=5e-9)


def test_the_winner_takes_nearly_all():
    assert shares(torch.tensor([[10.0, 5.0, 5.0]]))[0] == pytest.approx(0.98670329, abs=1e-7)


def test_one_and_four_differ_by_e_cubed():
    first, *_, last = shares(SCORES)
    assert last / first == pytest.approx(math.exp(3))


def test_log_sum_exp_lies_above_the_maximum_by_at_most_log_n():
    for factor in (0.01, 0.1, 1, 10, 100):
        scores = factor * SCORES
        gap = (LogSumExp().value(LogSumExp().fold(scores)) - scores.amax()).item()
        assert 0 <= gap <= math.log(4)


def test_log_sum_exp_of_one_negative_is_that_negative():
    one = torch.tensor([[3.7]], dtype=torch.float64)
    assert LogSumExp().value(LogSumExp().fold(one)).item() == pytest.approx(3.7, abs=1e-15)


def test_softmax_gradient_is_probabilities_minus_one_hot():
    head = gonio.Head(4, 4, loss=losses.softmax(bias=False), dtype=torch.float64)
    with torch.no_grad():
        head.weight.copy_(torch.eye(4))
    # with the identity as weight the embedding is the score vector z
    z = SCORES.clone().requires_grad_()
    head(z, torch.tensor([1])).backward()
    a = F.softmax(SCORES, dim=1)
    y = F.one_hot(torch.tensor([1]), 4)
    torch.testing.assert_close(z.grad, a - y, rtol=0, atol=1e-15)


def chain(name, **settings):
    """One sample with target score 2 against 1, 3 and 4, through a row of the chain."""
    loss = losses.get(name).loss(margin=0.5, scale=1.0, score="inner", **settings)
    head = gonio.Head(4, 4, loss=loss, dtype=torch.float64)
    with torch.no_grad():
        head.weight.copy_(torch.eye(4))
    z = SCORES.clone().requires_grad_()
    value = head(z, torch.tensor([1]))
    value.backward()
    return value.item(), z.grad[0].tolist()


def test_hinge_pulls_once_for_every_active_negative():
    value, gradient = chain("hinge")
    assert value == pytest.approx((3 - 2 + 0.5) + (4 - 2 + 0.5))
    assert gradient == [0, -2, 1, 1]


def test_max_hinge_pulls_the_hardest_alone():
    value, gradient = chain("max-hinge")
    assert value == pytest.approx(2.5)
    assert gradient == [0, -1, 0, 1]


def test_lse_hinge_shares_the_pull_and_keeps_its_size():
    _, gradient = chain("lse-hinge")
    assert gradient[1] == -1
    assert sum(gradient) == pytest.approx(0)
    # the absolute sum is 2, where the survey forgets to say: while the hinge is active
    assert sum(map(abs, gradient)) == pytest.approx(2)


def test_softplus_lse_pulls_with_what_probability_is_missing():
    _, gradient = chain("softplus-lse")
    z = torch.tensor([1.0, 1.5, 3.0, 4.0], dtype=torch.float64)
    missing = 1 - F.softmax(z, dim=0)[1].item()
    assert sum(map(abs, gradient)) == pytest.approx(2 * missing)


@pytest.mark.parametrize("name", ["max-hinge", "softplus-lse", "lse-hinge"])
def test_the_chain_runs_from_hard_to_smooth(name):
    hard = chain("max-hinge")[0]
    values = [chain(name, temperature=t)[0] for t in (0.0, 0.01, 0.3, 1.0, 3.0)]
    assert values[0] == hard
    assert values[1] == pytest.approx(hard, abs=1e-8)
    assert values == sorted(values)


def test_smooth_hinge_sum_ends_at_the_hinge_sum():
    assert chain("hinge", temperature=0.01)[0] == pytest.approx(chain("hinge")[0], abs=1e-8)
    assert chain("hinge", temperature=1.0)[0] > chain("hinge")[0]


def test_cross_entropy_is_the_smooth_end():
    loss = losses.softplus_lse(margin=0.0, scale=1.0, score="inner")
    made = torch.randn(6, 5, dtype=torch.float64)
    labels = torch.arange(6)
    head = gonio.Head(5, 7, loss=loss, dtype=torch.float64)
    expected = F.cross_entropy(made @ head.weight.T, labels)
    torch.testing.assert_close(head(made, labels), expected, rtol=1e-14, atol=1e-14)


def test_softmax_keeps_its_gradient_where_cross_entropy_rounds_it_away():
    """1000 classes at cosine 0, own cosine 0.5, s = 64: float32 cross-entropy is 0, gradient 0."""
    head = gonio.Head(1001, 1000, loss=losses.normface(scale=64.0))
    with torch.no_grad():
        head.weight.copy_(torch.eye(1000, 1001))
    embedding = torch.zeros(1, 1001)
    embedding[0, 0], embedding[0, 1000] = 0.5, math.sqrt(0.75)
    embedding.requires_grad_()
    loss = head(embedding, torch.tensor([0]))
    loss.backward()
    assert loss.item() == pytest.approx(999 * math.exp(-32), rel=1e-5)
    assert embedding.grad.abs().sum() > 0


@pytest.mark.parametrize("m", [1.35, 2.0, 4.0])
def test_the_multiplicative_margin_shrinks_for_close_classes(m):
    """Boundary m a = angle - a on the arc between two classes; margin = angle - 2a."""
    rule = losses.sphereface(margin=m, annealing=0.0)
    for apart in (0.2, 1.0):
        low, high = 0.0, apart
        for _ in range(60):
            a = (low + high) / 2
            own = target_curve(rule, torch.tensor([a], dtype=torch.float64))
            low, high = (a, high) if own.item() > math.cos(apart - a) else (low, a)
        assert apart - 2 * a == pytest.approx((m - 1) / (m + 1) * apart, abs=1e-9)


def test_arcface_would_rise_past_pi_too():
    """The survey's objection to SphereFace holds for cos(t + m) on (pi - m, pi]; the fold repairs it."""
    angles = torch.tensor([math.pi - 0.5, math.pi], dtype=torch.float64)
    raw = target_curve(losses.arcface(past_pi="raw"), angles)
    fold = target_curve(losses.arcface(), angles)
    assert raw[1] > raw[0]
    assert fold[1] < fold[0]
