"""Smoothed, soft and weighted labels against one independent formula, on every backend."""

import math
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import gonio
from contract.cases import BACKENDS, batch
from contract.golden.parts import shifted
from gonio import losses

SIZE, CLASSES, DIM, EPS = 4, 9, 4, 0.1


def hard(c, target, raised):
    return np.where(c > target, raised, c)


# name, settings, score, own curve, curve of the others (which may read the target of the sample)
FORMULAS = {
    "softmax": ({}, "inner", lambda c: c, lambda c, t: c),
    "logit-adjustment": ({}, "inner", lambda c: c, lambda c, t: c),
    "l2-softmax": ({"scale": 3.0}, "projection", lambda c: c, lambda c, t: c),
    "cosface": ({"scale": 6.0}, "cosine", lambda c: c - 0.35, lambda c, t: c),
    "arcface": ({"scale": 6.0}, "cosine", partial(shifted, m2=0.5), lambda c, t: c),
    "sub-center-arcface": ({"scale": 6.0}, "centers", partial(shifted, m2=0.5), lambda c, t: c),
    "mv-arc-softmax": (
        {"scale": 6.0},
        "cosine",
        partial(shifted, m2=0.35),
        lambda c, t: hard(c, t, 1.2 * c + 0.2),
    ),
    "curricularface": (
        {"scale": 6.0},
        "cosine",
        partial(shifted, m2=0.5),
        lambda c, t: hard(c, t, c * c),
    ),
    "adaface": ({"scale": 6.0}, "cosine", None, lambda c, t: c),
    "max-hinge": ({"scale": 6.0}, "cosine", lambda c: c - 0.35, lambda c, t: c),
    "lse-hinge": ({"scale": 6.0}, "cosine", lambda c: c - 0.35, lambda c, t: c),
}
HINGES = ("max-hinge", "lse-hinge")
SMOOTH = [name for name in FORMULAS if name not in HINGES]
MIXED = [[(3, 0.7), (5, 0.3)], [(0, 0.5), (8, 0.5)], [(2, 1.0), (4, 0.0)], [(6, 0.2), (1, 0.8)]]
PLAIN = [[(3, 1.0)], [(0, 1.0)], [(2, 1.0)], [(1, 1.0)]]

on_every_backend = pytest.mark.parametrize("backend", BACKENDS.values(), ids=BACKENDS.keys())


def made():
    return batch(seed=5, size=SIZE, classes=CLASSES, dim=DIM)


def head_of(name, backend, **keywords):
    data = made()
    loss = losses.get(name).loss(**FORMULAS[name][0])
    head = gonio.Head(
        DIM,
        CLASSES,
        loss,
        backend=backend,
        dtype=torch.float64,
        class_counts=data.counts,
        **keywords,
    ).eval()
    with torch.no_grad():
        head.weight.copy_(data.shaped(loss))
        if hasattr(head, "bias"):
            head.bias.copy_(data.bias)
    return head


def given(rows):
    """Labels and masses as the head takes them."""
    labels = torch.tensor([[label for label, _ in row] for row in rows])
    mass = torch.tensor([[mass for _, mass in row] for row in rows], dtype=torch.float64)
    return labels, mass


def probabilities(rows):
    found = torch.zeros(len(rows), CLASSES, dtype=torch.float64)
    for i, row in enumerate(rows):
        for label, mass in row:
            found[i, label] += mass
    return found


def adaface_target(cosine, norm):
    quality = min(max(0.333 * (norm - 20) / 100.001, -1), 1)
    return shifted(cosine, m2=-0.4 * quality) - 0.4 * (1 + quality)


def expected(name, rows, smoothing=0.0):
    """Sample by sample, over the full row of scores."""
    settings, kind, own, others = FORMULAS[name]
    scale, data = settings.get("scale", 1.0), made()
    weight, bias, prior = data.weight.numpy(), data.bias.numpy(), data.counts.double().numpy()
    found = []
    for x, row in zip(data.embeddings.numpy(), rows, strict=True):
        norm, units = np.linalg.norm(x), weight / np.linalg.norm(weight, axis=2, keepdims=True)
        cosines = units @ x / norm
        length = np.ones(CLASSES)
        offset = np.zeros(CLASSES)
        score = cosines[:, :3].max(axis=1) if kind == "centers" else cosines[:, 0]
        if kind == "projection":
            length = np.linalg.norm(weight[:, 0], axis=1)
        if kind == "inner":
            score, offset = weight[:, 0] @ x, bias.copy()
        if name == "logit-adjustment":
            offset += np.log(prior / prior.sum())
        curve = partial(adaface_target, norm=norm) if name == "adaface" else own
        mass = {}
        for label, share in row:
            mass[label] = mass.get(label, 0) + share
        mass = {label: share for label, share in mass.items() if share > 0}
        targets = {y: score[y] + p * (curve(score[y]) - score[y]) for y, p in mass.items()}
        mean = sum(p * targets[y] for y, p in mass.items())
        curved = others(score, mean)
        for y, target in targets.items():
            curved[y] = target
        z = scale * length * curved + offset
        cost = 0.0
        for y, p in mass.items():
            rest = np.delete(z, y)
            if name in HINGES:
                top = rest.max() if name == "max-hinge" else math.log(np.exp(rest).sum())
                cost += p * max(top - z[y], 0)
            else:
                even = smoothing * (sum(q * z[k] for k, q in mass.items()) - z.mean())
                cost += p * (math.log(np.exp(z).sum()) - z[y] + even)
        found.append(cost)
    return found


def close(found, wanted):
    # arccos in the formula and a scale of 6: a few digits less than float64 has
    np.testing.assert_allclose(found.detach().numpy(), wanted, rtol=1e-10, atol=1e-10)


def each(head, labels, mass=None):
    return head(made().embeddings, labels, label_mass=mass, reduction="none")


def gradients(head, labels, mass=None, **keywords):
    x = made().embeddings.clone().requires_grad_()
    head.zero_grad()
    head(x, labels, label_mass=mass, **keywords).backward()
    return {"embeddings": x.grad} | {n: p.grad.clone() for n, p in head.named_parameters()}


@on_every_backend
@pytest.mark.parametrize("name", SMOOTH)
def test_smoothing_spreads_its_share_over_all_classes(name, backend):
    head = head_of(name, backend, label_smoothing=EPS)
    labels = given(PLAIN)[0][:, 0]
    close(each(head, labels), expected(name, PLAIN, EPS))


@on_every_backend
@pytest.mark.parametrize("name", FORMULAS)
def test_several_labels_share_loss_and_margin(name, backend):
    close(each(head_of(name, backend), *given(MIXED)), expected(name, MIXED))
    close(each(head_of(name, backend), probabilities(MIXED)), expected(name, MIXED))


@on_every_backend
@pytest.mark.parametrize("name", SMOOTH)
def test_smoothing_and_mixing_go_together(name, backend):
    head = head_of(name, backend, label_smoothing=EPS)
    close(each(head, *given(MIXED)), expected(name, MIXED, EPS))
    close(each(head, probabilities(MIXED)), expected(name, MIXED, EPS))


@on_every_backend
@pytest.mark.parametrize("smoothing", [0.0, EPS])
@pytest.mark.parametrize("name", SMOOTH)
def test_the_gradient_is_the_derivative(name, smoothing, backend):
    head = head_of(name, backend, label_smoothing=smoothing)
    parameters = dict(head.named_parameters())
    labels, mass = given(MIXED)

    def loss(embeddings, *values):
        chosen = dict(zip(parameters, values, strict=True))
        keywords = {"reduction": "none", "label_mass": mass}
        return torch.func.functional_call(head, chosen, (embeddings, labels), keywords)

    inputs = [made().embeddings, *(value.detach() for value in parameters.values())]
    inputs = [value.clone().requires_grad_() for value in inputs]
    if name == "adaface":  # takes the norm as a constant
        inputs[0].requires_grad_(False)
    assert torch.autograd.gradcheck(loss, inputs, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("backend", list(BACKENDS.values())[1:], ids=list(BACKENDS)[1:])
@pytest.mark.parametrize("smoothing", [0.0, EPS])
@pytest.mark.parametrize("name", FORMULAS)
def test_all_backends_have_the_same_gradient(name, smoothing, backend):
    if smoothing and name in HINGES:
        return
    found, truth = (
        gradients(head_of(name, one, label_smoothing=smoothing), *given(MIXED))
        for one in (backend, BACKENDS["reference"])
    )
    for key, value in truth.items():
        torch.testing.assert_close(found[key], value, rtol=1e-11, atol=1e-11)


@on_every_backend
@pytest.mark.parametrize("name", FORMULAS)
def test_all_of_the_mass_on_one_label_is_that_label(name, backend):
    head = head_of(name, backend)
    labels = given(PLAIN)[0][:, 0]
    plain, plain_gradient = each(head, labels), gradients(head, labels)
    spellings = {
        "one-hot": (F.one_hot(labels, CLASSES).double(), None),
        "twice": (labels[:, None].expand(-1, 2), given([[(0, 0.7), (0, 0.3)]] * SIZE)[1]),
        "beside a zero": (
            torch.stack([(labels + 4) % CLASSES, labels], dim=1),
            given([[(0, 0.0), (0, 1.0)]] * SIZE)[1],
        ),
    }
    for spelling in spellings.values():
        torch.testing.assert_close(each(head, *spelling), plain, rtol=1e-12, atol=1e-12)
        for key, value in gradients(head, *spelling).items():
            torch.testing.assert_close(value, plain_gradient[key], rtol=1e-12, atol=1e-12)


@on_every_backend
@pytest.mark.parametrize("name", FORMULAS)
def test_the_order_of_the_labels_says_nothing(name, backend):
    head = head_of(name, backend)
    labels, mass = given(MIXED)
    flipped = each(head, labels.flip(1), mass.flip(1))
    torch.testing.assert_close(flipped, each(head, labels, mass), rtol=1e-12, atol=1e-12)


@on_every_backend
@pytest.mark.parametrize("smoothing", [0.0, EPS])
@pytest.mark.parametrize("name", ["softmax", "l2-softmax", "normface"])
def test_without_a_margin_it_is_soft_cross_entropy(name, smoothing, backend):
    head = gonio.Head(
        DIM, CLASSES, name, backend=backend, dtype=torch.float64, label_smoothing=smoothing
    )
    soft = torch.rand(SIZE, CLASSES, dtype=torch.float64)
    soft = soft / soft.sum(dim=1, keepdim=True)
    x = made().embeddings
    wanted = F.cross_entropy(head.logits(x), soft, label_smoothing=smoothing)
    torch.testing.assert_close(head(x, soft), wanted, rtol=1e-12, atol=1e-12)


@on_every_backend
def test_class_weights_are_those_of_torch(backend):
    weight = torch.linspace(0, 2, CLASSES, dtype=torch.float64)
    head = head_of("softmax", backend, class_weight=weight)
    labels = given(PLAIN)[0][:, 0]
    logits = head.logits(made().embeddings)
    for reduction in ("mean", "sum", "none"):
        found = head(made().embeddings, labels, reduction=reduction)
        wanted = F.cross_entropy(logits, labels, weight=weight, reduction=reduction)
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


@on_every_backend
@pytest.mark.parametrize("name", ["arcface", "logit-adjustment"])
def test_weights_of_classes_and_samples_multiply(name, backend):
    by_class = torch.linspace(0, 2, CLASSES, dtype=torch.float64)
    by_sample = torch.tensor([1.0, 0.0, 3.0, 0.5], dtype=torch.float64)
    head = head_of(name, backend, class_weight=by_class)
    labels, mass = given(MIXED)
    weights = by_sample * (probabilities(MIXED) @ by_class)
    wanted = (torch.tensor(expected(name, MIXED)) * weights).sum() / weights.sum()
    found = head(made().embeddings, labels, label_mass=mass, sample_weight=by_sample)
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)
    dense = head(made().embeddings, probabilities(MIXED), sample_weight=by_sample)
    torch.testing.assert_close(dense, wanted, rtol=1e-10, atol=1e-10)


@on_every_backend
@pytest.mark.parametrize("smoothing", [0.0, EPS])
def test_an_ignored_row_of_several_labels_adds_exactly_nothing(smoothing, backend):
    head = head_of("arcface", backend, ignore_index=-1, label_smoothing=smoothing)
    labels, mass = given(MIXED)
    labels[1] = -1
    labels[3, 0] = -1
    mass[3] = 9.0  # its masses need not add up
    found = gradients(head, labels, mass)
    assert not found["embeddings"][[1, 3]].any()
    per_sample = head(made().embeddings, labels, label_mass=mass, reduction="none")
    assert per_sample[[1, 3]].tolist() == [0, 0]
    wanted = [expected("arcface", MIXED, smoothing)[i] for i in (0, 2)]
    close(per_sample[[0, 2]], wanted)
    head.zero_grad()
    kept = [0, 2]
    head(made().embeddings[kept], labels[kept], label_mass=mass[kept]).backward()
    assert torch.equal(found["weight"], head.weight.grad)


@on_every_backend
@pytest.mark.parametrize("kind", [torch.float64, torch.float32, torch.float16])
def test_the_dtype_of_the_masses_is_not_that_of_the_loss(kind, backend):
    head = gonio.Head(DIM, CLASSES, "arcface", backend=backend, label_smoothing=EPS)
    x = made().embeddings.float().requires_grad_()
    labels, mass = given(MIXED)
    loss = head(x, labels, label_mass=mass.to(kind))
    loss.backward()
    assert loss.dtype == x.grad.dtype == head.weight.grad.dtype == torch.float32


@pytest.mark.parametrize("ignored", range(CLASSES))
def test_a_class_to_ignore_hides_no_row_without_it(ignored):
    head = gonio.Head(DIM, CLASSES, "arcface", ignore_index=ignored, dtype=torch.float64)
    soft = probabilities([[(3, 0.2), (5, 0.3), (7, 0.5)], [(1, 1.0)], [(2, 1.0)], [(6, 1.0)]])
    plain = gonio.Head(DIM, CLASSES, "arcface", dtype=torch.float64)
    plain.load_state_dict(head.state_dict())
    found = head(made().embeddings, soft, reduction="none")
    wanted = plain(made().embeddings, soft, reduction="none")
    kept = soft[:, ignored] == 0
    torch.testing.assert_close(found[kept], wanted[kept])


@pytest.mark.parametrize("name", ["max-hinge", "lse-hinge", "hinge", "supcon", "uniface", "focal"])
def test_smoothing_is_refused_where_it_is_not_defined(name):
    with pytest.raises(ValueError, match=r"^label_smoothing: 0\.1 is defined for a cross-entropy"):
        gonio.Head(DIM, CLASSES, name, label_smoothing=EPS)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, math.nan])
def test_smoothing_outside_its_range_is_refused(smoothing):
    with pytest.raises(ValueError, match=r"^label_smoothing: .* is out of range \[0, 1\)"):
        gonio.Head(DIM, CLASSES, "arcface", label_smoothing=smoothing)


@pytest.mark.parametrize("name", ["hinge", "supcon", "proxy-anchor", "uniface", "p2sgrad"])
def test_several_labels_are_refused_where_they_are_not_defined(name):
    head = gonio.Head(DIM, CLASSES, name)
    labels, mass = given(MIXED)
    for spelling in ((labels, mass), (probabilities(MIXED), None)):
        with pytest.raises(ValueError, match=r"^labels: several for a sample are defined for"):
            head(made().embeddings.float(), spelling[0], label_mass=spelling[1])


def test_wrong_masses_are_refused_by_name():
    head = gonio.Head(DIM, CLASSES, "arcface")
    labels, mass = given(MIXED)
    x, short = made().embeddings, mass.clone()
    short[2, 0] = 0.5
    minus = torch.tensor([[1.5, -0.5]] * SIZE)
    soft = probabilities(MIXED)
    for wrong, message in (
        ((labels, short), r"label_mass: the sum is 0\.5 at row 2"),
        ((labels, minus), r"label_mass: -0\.5 at row 0"),
        ((labels, None), r"labels: int64\[4, 2\] has several labels .* label_mass"),
        ((labels, mass[:, :1]), r"label_mass: float64\[4, 1\] does not match labels \[4, 2\]"),
        ((labels[:, 0], mass), r"label_mass: got float64\[4, 2\] beside labels int64\[4\]"),
        ((2 * soft, None), r"labels: the sum is 2 at row 0"),
        ((soft[:, 1:], None), r"labels: float64\[4, 8\] does not match the classes \[4, 9\]"),
        ((labels + 5, mass), r"labels: 10 is out of range \[0, 9\) at row 0"),
    ):
        with pytest.raises(ValueError, match=message):
            head(x, wrong[0], label_mass=wrong[1])
