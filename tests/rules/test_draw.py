"""Margins that are drawn: recovered from the losses of a batch."""

import pytest
import torch

from gonio import losses
from rules.heads import cosines, data, head_of, own


def drawn(head, x, labels):
    """The margins of a batch, from its losses: cosface at scale 1 has loss log(1 + e^{pool - t})."""
    pool = cosines(head, x).exp()
    pool = (pool.sum(dim=1) - own(head, x, labels).exp()).log()
    loss = head(x, labels, reduction="none").detach()
    return own(head, x, labels) - pool + loss.expm1().log()


def elastic(order, std=0.05):
    return head_of(losses.elastic_cosface(margin=0.35, std=std, order=order, scale=1.0))


@pytest.mark.parametrize("order", ["random", "hardest", "published"])
def test_draws_have_their_mean_and_spread_and_differ_by_step(order):
    head = elastic(order)
    x, labels = data(2000)
    first, second = drawn(head, x, labels), drawn(head, x, labels)
    for margins in (first, second):
        # four standard errors of 2000 draws
        assert margins.mean().item() == pytest.approx(0.35, abs=4 * 0.05 / 2000**0.5)
        assert margins.std().item() == pytest.approx(0.05, rel=4 / 4000**0.5)
    assert not torch.allclose(first.sort().values, second.sort().values, atol=1e-6)
    resting = drawn(head.eval(), x, labels)
    torch.testing.assert_close(resting, torch.full_like(resting, 0.35))


def test_a_resumed_run_draws_what_it_would_have_drawn():
    head, other = elastic("random"), elastic("random")
    batches = [data(seed=seed) for seed in range(4)]
    for x, labels in batches[:2]:
        head(x, labels)
    other.load_state_dict(head.state_dict())
    for x, labels in batches[2:]:
        assert torch.equal(drawn(head, x, labels), drawn(other, x, labels))


def test_two_heads_draw_differently_and_a_seed_repeats_them():
    heads = []
    for seed in (1, 2, 1):
        torch.manual_seed(seed)
        heads.append(elastic("random"))
    first, second, again = (drawn(head, *data()) for head in heads)
    assert torch.equal(first, again)
    assert not torch.allclose(first, second)


def test_the_hardest_gets_the_largest_margin():
    x, labels = data(40)
    hardest, published = elastic("hardest"), elastic("published")
    published.load_state_dict(hardest.state_dict(), strict=False)
    margins = drawn(hardest, x, labels)
    assert torch.equal(margins.argsort(descending=True), own(hardest, x, labels).argsort())
    as_published = drawn(published, x, labels)
    torch.testing.assert_close(as_published.sort().values, margins.sort().values)
    easiest_first = own(hardest, x, labels).argsort(descending=True)
    torch.testing.assert_close(as_published, margins.sort().values[easiest_first])
    assert not torch.equal(as_published.argsort(), margins.argsort())


def test_the_seed_is_never_rounded():
    head = elastic("random")
    seed = head.seed.item()
    assert head.to(torch.float16).to(torch.float64).seed.item() == seed
    assert head.seed.dtype == torch.int64
