"""What a loss keeps between batches: against hand computation, and when it may change."""

import copy
import math
import pickle

import pytest
import torch
import torch.nn.functional as F

import gonio
from gonio import losses
from gonio.rules import AngularMargin, Chain, Fixed, FromCounts, MarginReward, PerClass, Subtract

DIM, CLASSES = 6, 5
COUNTS = torch.tensor([40.0, 10, 3, 20, 1])
STATEFUL = [
    "curricularface",
    "adaface",
    "adacos",
    "kappaface",
    "center-loss",
    "adaptiveface",
    "elastic-arcface",
    "elastic-cosface",
    "logit-adjustment",
    "ldam",
    "dynamic-arcface",
]


def head_of(loss, **keywords):
    keywords = {"class_counts": COUNTS, "dtype": torch.float64} | keywords
    return gonio.Head(DIM, CLASSES, loss, **keywords)


def data(size=7, seed=1):
    generator = torch.Generator().manual_seed(seed)
    x = 3 * torch.randn(size, DIM, generator=generator, dtype=torch.float64)
    return x, torch.randint(0, CLASSES, (size,), generator=generator)


def cosines(head, x):
    return (F.normalize(x) @ F.normalize(head.weight, dim=-1).T).detach()


def own(head, x, labels):
    return cosines(head, x)[torch.arange(len(x)), labels]


def buffers(head):
    return {name: value.clone() for name, value in head.named_buffers() if name != "step"}


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
    before = buffers(head)
    loss = head(*data(size=1))
    loss.backward()
    assert loss.isfinite()
    assert {name: value.item() for name, value in buffers(head).items()} == {
        name: value.item() for name, value in before.items()
    }


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
    published.load_state_dict(hardest.state_dict())
    margins = drawn(hardest, x, labels)
    assert torch.equal(margins.argsort(descending=True), own(hardest, x, labels).argsort())
    as_published = drawn(published, x, labels)
    torch.testing.assert_close(as_published.sort().values, margins.sort().values)
    easiest_first = own(hardest, x, labels).argsort(descending=True)
    torch.testing.assert_close(as_published, margins.sort().values[easiest_first])
    assert not torch.equal(as_published.argsort(), margins.argsort())


@pytest.mark.parametrize("name", STATEFUL)
def test_nothing_changes_outside_training(name):
    head = head_of(name)
    head(*data())
    before, step = buffers(head), head.step.item()
    with torch.no_grad():
        head(*data(seed=2))
    head.eval()(*data(seed=3)).backward()
    head.logits(data()[0])
    head.measure(*data())
    assert head.step.item() == step
    for name, value in buffers(head).items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize("name", STATEFUL)
@pytest.mark.parametrize("backend", ["reference", "chunked"])
def test_what_is_kept_is_saved_copied_and_loaded(name, backend):
    head = head_of(name, backend=backend)
    for seed in range(3):
        head(*data(seed=seed))
    other = head_of(name, backend=backend)
    other.load_state_dict(head.state_dict())
    twin = copy.deepcopy(head)
    assert set(head.state_dict()) >= set(dict(head.named_parameters())) | set(buffers(head))
    wanted = head(*data(seed=9))
    for one in (other, twin):
        assert torch.equal(one(*data(seed=9)), wanted)
        for key, value in head.state_dict().items():
            assert torch.equal(one.state_dict()[key], value)


@pytest.mark.parametrize("name", STATEFUL)
def test_a_head_pickles_with_what_it_keeps(name):
    head = head_of(name)
    head(*data())
    twin = pickle.loads(pickle.dumps(head))
    assert torch.equal(twin(*data(seed=9)), head(*data(seed=9)))


@pytest.mark.parametrize("name", STATEFUL)
def test_what_is_kept_moves_with_the_head(name):
    head = head_of(name, dtype=torch.float32).to("meta")
    assert {value.device.type for value in head.state_dict().values()} == {"meta"}
    head = head_of(name, dtype=torch.float32).to(torch.float64)
    floating = [value for value in head.state_dict().values() if value.is_floating_point()]
    assert {value.dtype for value in floating} == {torch.float64}
    loss = head(*data())
    assert loss.dtype == torch.float64
    loss.backward()


@pytest.mark.parametrize("name", losses.names())
@pytest.mark.parametrize("backend", ["reference", "chunked"])
def test_two_batches_before_one_backward(name, backend):
    head = head_of(name, backend=backend)
    twin = copy.deepcopy(head)
    batches = [data(seed=seed) for seed in (1, 2)]
    for x, _ in batches:
        x.requires_grad_()
    sum(head(*one) for one in batches).backward()
    together = [x.grad for x, _ in batches]
    for (x, labels), grad in zip(batches, together, strict=True):
        x.grad = None
        twin(x, labels).backward()
        torch.testing.assert_close(grad, x.grad)
    for one, other in zip(head.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


MARGINS = [0.05, 0.2, 0.35, 0.5, 0.65]


@pytest.mark.parametrize("backend", ["reference", "chunked"])
@pytest.mark.parametrize("row", [losses.cosface, losses.arcface, losses.sub_center_arcface])
def test_a_margin_of_each_class_is_that_of_its_samples(row, backend):
    head = head_of(row(margin=PerClass(MARGINS), scale=6.0), backend=backend)
    x, labels = data(12)
    found = head(x, labels, reduction="none")
    for i, label in enumerate(labels.tolist()):
        one = head_of(row(margin=MARGINS[label], scale=6.0), backend=backend)
        with torch.no_grad():
            one.weight.copy_(head.weight)
        torch.testing.assert_close(found[i], one(x[i : i + 1], labels[i : i + 1]))


def test_margins_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"^margin: 4 numbers for 5 classes"):
        head_of(losses.cosface(margin=PerClass(MARGINS[:4])))
    with pytest.raises(ValueError, match=r"^margin: got nan for class 1"):
        PerClass([0.1, math.nan])
    with pytest.raises(ValueError, match=r"^margin: got inf for class 0"):
        PerClass([math.inf])
    with pytest.raises(ValueError, match=r"^margin: got nothing"):
        PerClass([])
    with pytest.raises(ValueError, match=r"^margin: .* out of range \(-pi, pi\)"):
        losses.arcface(margin=PerClass([0.1, 30.0]))
    with pytest.raises(ValueError, match=r"^margin: "):
        losses.cosface(margin=PerClass([0.1, -0.1]))


@pytest.mark.parametrize("name", ["ldam", "dynamic-arcface", "kappaface", "logit-adjustment"])
def test_a_loss_that_needs_counts_says_so(name):
    with pytest.raises(ValueError, match=r"^class_counts: .* needs the number of training samples"):
        head_of(name, class_counts=None)
    with pytest.raises(ValueError, match=r"^class_counts: "):
        head_of(name, class_counts=COUNTS[:4])
    with pytest.raises(ValueError, match=r"^class_counts: "):
        head_of(name, class_counts=-COUNTS)


@pytest.mark.parametrize("name", ["ldam", "dynamic-arcface", "logit-adjustment"])
def test_a_class_without_a_sample_is_named(name):
    counts = COUNTS.clone()
    counts[2] = 0
    with pytest.raises(ValueError, match=r"^class_counts: .*class 2"):
        head_of(name, class_counts=counts)


def test_kappaface_bears_a_class_without_a_sample():
    counts = COUNTS.clone()
    counts[2] = 0
    for given in (counts, torch.zeros(CLASSES)):
        head = head_of(losses.kappaface(every=1), class_counts=given)
        head(*data()).backward()
        assert head.margins.isfinite().all()


@pytest.mark.parametrize("name", ["ldam", "dynamic-arcface", "kappaface", "logit-adjustment"])
def test_equal_counts_are_finite(name):
    head = head_of(name, class_counts=torch.full((CLASSES,), 7))
    loss = head(*data())
    loss.backward()
    assert loss.isfinite()
    if name == "dynamic-arcface":
        torch.testing.assert_close(head.margins, torch.full((CLASSES,), 0.275, dtype=torch.float64))


def test_margins_from_counts_are_those_of_the_formula():
    rarity = COUNTS.double() ** -0.25
    ldam = head_of(losses.ldam(margin=0.5, power=0.25)).margins
    torch.testing.assert_close(ldam, 0.5 * rarity / rarity.max())
    share = (rarity - rarity.min()) / (rarity.max() - rarity.min())
    dynamic = head_of(losses.dynamic_arcface(low=0.05, high=0.5)).margins
    torch.testing.assert_close(dynamic, 0.05 + 0.45 * share)


def test_two_parts_cannot_keep_the_same_name():
    def both(first, second):
        rule = Chain(AngularMargin(add=first), Subtract(second))
        return gonio.Loss(Fixed(8.0), rule)

    one, other = PerClass(MARGINS), PerClass(MARGINS[::-1])
    with pytest.raises(ValueError, match="both keep 'margins'; a loss has room for one"):
        head_of(both(one, other))
    with pytest.raises(ValueError, match="both keep 'margins'"):
        head_of(both(FromCounts(), one))
    assert head_of(both(one, PerClass(MARGINS))).margins.tolist() == MARGINS


def test_a_reward_for_margins_needs_margins():
    with pytest.raises(ValueError, match="margins"):
        head_of(losses.cosface() + MarginReward(1.0))(*data())


def test_the_seed_is_never_rounded():
    head = elastic("random")
    seed = head.seed.item()
    assert head.to(torch.float16).to(torch.float64).seed.item() == seed
    assert head.seed.dtype == torch.int64
