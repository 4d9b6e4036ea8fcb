"""What a head tells beside its loss: scores with the margin, and groups for an optimizer."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

import gonio
from gonio import losses, rules

COUNTS = torch.arange(1, 7)
X = torch.randn(5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LABELS = torch.tensor([0, 5, 2, 2, 4])
ENTROPIES = [
    name
    for name in losses.names()
    if (loss := losses.get(name).loss()).pool == rules.LogSumExp()
    and loss.penalty == rules.Softplus()
    and loss.pairing == rules.CLASSES
]


@pytest.mark.parametrize("name", ENTROPIES)
def test_a_cross_entropy_of_the_scores_of_training_is_the_loss(name):
    loss = replace(losses.get(name).loss(), terms=(), mining=rules.Everything())
    head = gonio.Head(4, 6, loss, class_counts=COUNTS, dtype=torch.float64).eval()
    scores = head.logits(X, LABELS, margin=True)
    wanted = F.cross_entropy(scores, LABELS, reduction="none")
    torch.testing.assert_close(head(X, LABELS, reduction="none"), wanted, rtol=1e-9, atol=1e-9)


def test_of_several_labels_each_has_its_share_of_the_margin():
    head = gonio.Head(4, 6, "arcface", dtype=torch.float64).eval()
    shares = torch.zeros(5, 6, dtype=torch.float64)
    shares[:, 1], shares[range(5), LABELS] = 0.25, 0.75
    scores = head.logits(X, shares, margin=True)
    wanted = F.cross_entropy(scores, shares, reduction="none")
    torch.testing.assert_close(head(X, shares, reduction="none"), wanted, rtol=1e-9, atol=1e-9)


def test_a_margin_asks_for_labels_and_labels_for_a_margin():
    head = gonio.Head(4, 6)
    for given in ({"margin": True}, {"labels": LABELS}):
        with pytest.raises(ValueError, match=r"margin: got .* labels; pass labels and"):
            head.logits(X.float(), **given)
    with pytest.raises(ValueError, match="loss: it has no class weights"):
        gonio.Head(4, 6, "supcon").logits(X.float())


def test_what_a_loss_learns_does_not_decay():
    head = gonio.Head(4, 6, losses.normface(scale="learned"))
    optimizer = torch.optim.SGD(head.param_groups(lr=0.1, weight_decay=0.5))
    head(X.float(), LABELS).backward()
    for one in head.parameters():
        one.grad.zero_()
    weight, scale = head.weight.detach().clone(), head.raw_scale.detach().clone()
    optimizer.step()
    torch.testing.assert_close(head.weight.detach(), 0.95 * weight)
    assert torch.equal(head.raw_scale.detach(), scale)
    held = [id(one) for group in optimizer.param_groups for one in group["params"]]
    assert sorted(held) == sorted(map(id, head.parameters()))
    assert [group["name"] for group in gonio.Head(4, 6, "cosface").param_groups()] == [
        "head.weight"
    ]
