"""Running statistics of training against hand computation, batch by batch."""

import math

import pytest
import torch
import torch.nn.functional as F

import gonio
from gonio import losses
from gonio.rules import PerClass
from rules.heads import CLASSES, COUNTS, DIM, cosines, data, head_of, own


def cross_entropy(z):
    """(batch, classes) scores -> the loss against every class as the own one."""
    return torch.logsumexp(z, dim=1, keepdim=True) - z


def test_the_level_is_updated_before_use():
    head = head_of(losses.curricularface(margin=0.5, momentum=0.9, scale=6.0))
    level = 0.0
    for seed in range(3):
        x, labels = data(seed=seed)
        found = head(x, labels, reduction="none")
        c = own(head, x, labels)
        level = 0.9 * level + 0.1 * c.mean().item()
        assert head.level.item() == pytest.approx(level, abs=1e-12)
        target = (c.acos() + 0.5).cos()
        scores = cosines(head, x)
        scores = torch.where(scores > target[:, None], scores * (level + scores), scores)
        scores[torch.arange(7), labels] = target
        wanted = cross_entropy(6 * scores)[torch.arange(7), labels]
        is_below_pi = c.acos() + 0.5 < math.pi
        assert is_below_pi.any()
        torch.testing.assert_close(found.detach()[is_below_pi], wanted[is_below_pi])


def test_the_quality_statistics_are_updated_before_use():
    head = head_of(losses.adaface(margin=0.4, momentum=0.8, scale=6.0))
    mean, std = 20.0, 100.0
    for seed in range(3):
        x, labels = data(seed=seed)
        x[0] *= 100  # cut to 100
        norm = x.norm(dim=1).clamp(0.001, 100)
        found = head(x, labels, reduction="none")
        mean = 0.8 * mean + 0.2 * norm.mean().item()
        std = 0.8 * std + 0.2 * norm.std().item()
        assert head.norm_mean.item() == pytest.approx(mean, rel=1e-12)
        assert head.norm_std.item() == pytest.approx(std, rel=1e-12)
        quality = (0.333 * (norm - mean) / (std + 0.001)).clamp(-1, 1)
        angle = own(head, x, labels).acos() - 0.4 * quality
        scores = cosines(head, x)
        scores[torch.arange(7), labels] = angle.cos() - 0.4 * (1 + quality)
        wanted = cross_entropy(6 * scores)[torch.arange(7), labels]
        inside = (angle > 0) & (angle < math.pi)
        assert inside.any()
        torch.testing.assert_close(found.detach()[inside], wanted[inside])


@pytest.mark.parametrize("momentum", [0.0, 0.99])
def test_a_batch_of_one_has_no_spread(momentum):
    head = head_of(losses.adaface(momentum=momentum))
    head(*data()).backward()
    before = head.norm_mean.item(), head.norm_std.item()
    loss = head(*data(size=1))
    loss.backward()
    assert loss.isfinite()
    assert (head.norm_mean.item(), head.norm_std.item()) == before


def test_equal_norms_are_finite():
    head = head_of(losses.adaface(momentum=0.0))
    x, labels = data()
    head(F.normalize(x), labels).backward()
    assert head.norm_std.item() == pytest.approx(0, abs=1e-12)
    assert head.weight.grad.isfinite().all()


def test_the_scale_of_adacos_follows_training():
    head = head_of("adacos")
    scale = math.sqrt(2) * math.log(CLASSES - 1)
    assert head.scale.item() == pytest.approx(scale)
    for seed in range(3):
        x, labels = data(seed=seed)
        with torch.no_grad():
            head.weight[labels[:5]] = x[:5]  # so that the median angle is below pi / 4
        found = head(x, labels, reduction="none")
        c = cosines(head, x)
        others = (scale * c).exp().sum(dim=1) - (scale * own(head, x, labels)).exp()
        median = own(head, x, labels).clamp(-1, 1).acos().median().item()
        scale = max(1.0, others.mean().log().item() / math.cos(min(median, math.pi / 4)))
        assert head.scale.item() == pytest.approx(scale, rel=1e-9)
        wanted = cross_entropy(scale * c)[torch.arange(7), labels]
        torch.testing.assert_close(found.detach(), wanted, rtol=1e-9, atol=1e-9)


def kappa_margins(x, labels, old, base=0.62, temperature=0.55, balance=0.7):
    """By hand, class by class."""
    kappa = {}
    for label in set(labels.tolist()):
        rows = F.normalize(x[labels == label])
        r = min(rows.sum(dim=0).norm().item() / len(rows), 1 - 1e-6)
        kappa[label] = r * (DIM - r * r) / (1 - r * r)
    mean = sum(kappa.values()) / len(kappa)
    std = math.sqrt(sum((k - mean) ** 2 for k in kappa.values()) / len(kappa))
    margins = old.clone()
    for label, k in kappa.items():
        concentrated = 1 - 1 / (1 + math.exp(-temperature * (k - mean) / (std or 1)))
        frequency = (math.cos(math.pi * COUNTS[label].item() / (1.05 * 40)) + 1) / 2
        margins[label] = base * (balance * concentrated + (1 - balance) * frequency)
    return margins


def test_the_margins_of_kappaface_are_renewed_every_so_many_batches():
    head = head_of(losses.kappaface(every=2, scale=8.0))
    margins = torch.full((CLASSES,), 0.62, dtype=torch.float64)
    for seed in (0, 2):
        first, second = data(9, seed), data(9, seed + 1)
        for _, labels in (first, second):
            labels[labels == 4] = 3  # class 4 is never seen
        head(*first)
        torch.testing.assert_close(head.margins, margins)
        assert head.seen.sum() == 9
        head(*second)
        x, labels = (torch.cat(pair) for pair in zip(first, second, strict=True))
        margins = kappa_margins(x, labels, margins)
        torch.testing.assert_close(head.margins, margins, rtol=1e-10, atol=1e-10)
        assert head.margins[4] == 0.62
        assert not head.seen.any()
        assert not head.embedding_sums.any()


def test_a_renewed_margin_is_used_in_the_same_batch():
    head = head_of(losses.kappaface(every=1, scale=8.0))
    x, labels = data(9)
    found = head(x, labels, reduction="none")
    fixed = losses.arcface(scale=8.0, margin=PerClass(head.margins.tolist()))
    same = head_of(fixed)
    with torch.no_grad():
        same.weight.copy_(head.weight)
    torch.testing.assert_close(found, same(x, labels, reduction="none"))


def test_classes_that_are_equally_concentrated_have_finite_margins():
    head = head_of(losses.kappaface(every=1, balance=1.0))
    x = torch.eye(CLASSES, DIM, dtype=torch.float64)
    loss = head(x, torch.arange(CLASSES))
    loss.backward()
    torch.testing.assert_close(head.margins, torch.full((CLASSES,), 0.31, dtype=torch.float64))
    assert head.weight.grad.isfinite().all()


def test_class_means_move_after_the_loss():
    head = head_of(losses.center_loss(weight=0.5, rate=0.3))
    plain = head_of("softmax")
    with torch.no_grad():
        plain.weight.copy_(head.weight)
    means = torch.zeros(CLASSES, DIM, dtype=torch.float64)
    for seed in range(3):
        x, labels = data(seed=seed)
        found = head(x, labels, reduction="none")
        wanted = plain(x, labels, reduction="none")
        wanted = wanted + 0.25 * ((x - means[labels]) ** 2).sum(dim=1)
        torch.testing.assert_close(found, wanted)
        moved = means.clone()
        for label in range(CLASSES):
            rows = x[labels == label]
            moved[label] -= 0.3 * (means[label] - rows).sum(dim=0) / (1 + len(rows))
        means = moved
        torch.testing.assert_close(head.class_means, means)


def test_outside_training_a_learned_margin_is_cut_in_the_loss_and_left_in_the_state():
    """As after the last step of the optimizer, which may have left the range."""
    head = head_of(losses.adaptiveface(weight=0.0)).eval()
    left, cut = torch.tensor([-3.0, 0.2, 9.0, 0.5, 0.6]), torch.tensor([0.0, 0.2, 1.0, 0.5, 0.6])
    found = []
    for margins in (left, cut):
        with torch.no_grad():
            head.margins.copy_(margins)
        found.append(head(*data(), reduction="none"))
        torch.testing.assert_close(head.margins.data, margins, check_dtype=False)
    torch.testing.assert_close(found[0], found[1])


def test_learned_margins_stay_in_their_range():
    head = head_of(losses.adaptiveface(start=0.35, weight=7.0, scale=5.0))
    x, labels = data()
    with torch.no_grad():
        head.margins.copy_(torch.tensor([-3.0, 0.2, 9.0, 0.5, 0.6]))
    margins = torch.tensor([0.0, 0.2, 1.0, 0.5, 0.6], dtype=torch.float64)
    found = head(x, labels, reduction="none")
    torch.testing.assert_close(head.margins.data, margins)
    scores = cosines(head, x)
    scores[torch.arange(7), labels] -= margins[labels]
    wanted = cross_entropy(5 * scores)[torch.arange(7), labels] + 7 * (1 - margins.mean())
    torch.testing.assert_close(found.detach(), wanted)
    found.mean().backward()
    unseen = [label for label in range(CLASSES) if label not in labels]
    for label in unseen:
        assert head.margins.grad[label].item() == pytest.approx(-7.0 / CLASSES)


@pytest.mark.parametrize(
    "loss", ["curricularface", "adaface", "adacos", "kappaface", "center-loss"]
)
def test_statistics_of_a_head_in_half_precision_are_wide(loss):
    """So are those of a head that is cast; bfloat16 has no number 257 and no mean that moves by 1 %."""
    head = gonio.Head(DIM, CLASSES, loss=loss, class_counts=COUNTS, dtype=torch.bfloat16)
    kinds = {name: value.dtype for name, value in head.named_buffers()}
    assert set(kinds.values()) == {torch.float32, torch.int64}
    assert kinds["step"] == torch.int64


def test_a_sample_with_several_labels_counts_once():
    """Its norm once, and the mean of its cosines, weighted by mass."""
    (x, labels), mass = data(), torch.tensor([[0.75, 0.25]]).expand(7, 2)
    both = torch.stack([labels, (labels + 1) % CLASSES], dim=1)
    head = head_of(losses.adaface(momentum=0.0))
    head(x, both, label_mass=mass)
    assert head.norm_std.item() == pytest.approx(x.norm(dim=1).std().item(), rel=1e-12)
    head = head_of(losses.curricularface(momentum=0.0))
    head(x, both, label_mass=mass)
    mean = (cosines(head, x).gather(1, both) * mass).sum(dim=1).mean()
    assert head.level.item() == pytest.approx(mean.item(), rel=1e-12)


def test_the_scale_of_adacos_takes_the_median_of_an_even_number_and_has_a_floor():
    """Own angles 0.1, 0.3, 0.5 and 0.7 have the median 0.4; eight negatives at the back give s < 1."""
    angle = torch.tensor([0.1, 0.3, 0.5, 0.7], dtype=torch.float64)
    x, labels = torch.stack([angle.cos(), angle.sin()], dim=1), torch.zeros(4, dtype=torch.int64)
    for others, scale in ((torch.tensor([0.0, 1.0]), None), (torch.tensor([-1.0, 0.0]), 1.0)):
        head = gonio.Head(2, 9, loss="adacos", dtype=torch.float64)
        before = head.scale.item()
        with torch.no_grad():
            head.weight.copy_(others.expand(9, 2))
            head.weight[0] = torch.tensor([1.0, 0.0])
        head(x, labels)
        pool = (8 * (before * (x @ head.weight[1].detach())).exp()).mean().log()
        assert head.scale.item() == pytest.approx(scale or (pool / math.cos(0.4)).item())
