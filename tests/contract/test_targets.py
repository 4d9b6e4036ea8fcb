"""Smoothed, soft and weighted labels against one independent formula, on every backend."""

import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import gonio
from contract.cases import BACKENDS
from contract.soft_labels import (
    CLASSES,
    DIM,
    DRAWN,
    EPS,
    FORMULAS,
    MIXED,
    ONE_LABEL,
    PLAIN,
    SIZE,
    SMOOTH,
    expected,
    given,
    head_of,
    made,
    probabilities,
)
from gonio import losses

on_every_backend = pytest.mark.parametrize("backend", BACKENDS.values(), ids=BACKENDS.keys())


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


@pytest.mark.parametrize(
    "backend", [BACKENDS["reference"], BACKENDS["tile=7,recompute"]], ids=["reference", "tile=7"]
)
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
@pytest.mark.parametrize(
    ("name", "smoothing"), [(name, 0.0) for name in FORMULAS] + [(name, EPS) for name in SMOOTH]
)
def test_all_backends_have_the_same_gradient(name, smoothing, backend):
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
@pytest.mark.parametrize("name", sorted(set(losses.names()) - ONE_LABEL - DRAWN))
def test_a_label_without_mass_is_as_good_as_none_in_training(name, backend):
    head = gonio.Head(
        DIM, CLASSES, name, backend=backend, dtype=torch.float64, class_counts=made().counts
    )
    twin = copy.deepcopy(head)
    labels = given(PLAIN)[0][:, 0]
    padded = torch.stack([(labels + 4) % CLASSES, labels], dim=1)
    mass = torch.tensor([[0.0, 1.0]] * SIZE, dtype=torch.float64)
    torch.testing.assert_close(each(twin, padded, mass), each(head, labels))
    for key, value in head.named_buffers():
        torch.testing.assert_close(dict(twin.named_buffers())[key], value)


def test_a_label_without_mass_leaves_the_hardest_negatives_alone():
    """With fewer negatives than k all of them are moved, whatever stands beside the label."""
    head = gonio.Head(DIM, 4, losses.inter_topk(k=5, penalty=0.4, scale=6.0), dtype=torch.float64)
    labels = torch.tensor([1, 3, 2, 1])
    padded = torch.stack([labels - 1, labels], dim=1)
    mass = torch.tensor([[0.0, 1.0]] * SIZE, dtype=torch.float64)
    torch.testing.assert_close(each(head, padded, mass), each(head, labels))


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
@pytest.mark.parametrize("smoothing", [0.0, EPS])
@pytest.mark.parametrize("name", ["arcface", "logit-adjustment", "mv-arc-softmax"])
def test_what_is_paid_for_a_class_is_multiplied_by_its_weight(name, smoothing, backend):
    by_class = torch.linspace(0, 2, CLASSES, dtype=torch.float64)
    by_sample = torch.tensor([1.0, 0.0, 3.0, 0.5], dtype=torch.float64)
    head = head_of(name, backend, class_weight=by_class, label_smoothing=smoothing)
    labels, mass = given(MIXED)
    paid = torch.tensor(expected(name, MIXED, smoothing, by_class.numpy()))
    close(each(head, labels, mass), paid)
    weights = by_sample * (probabilities(MIXED) @ by_class)
    wanted = (paid * by_sample).sum() / weights.sum()
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
    with pytest.raises(
        ValueError, match=r"^label_smoothing: got 0\.1, but it is defined for a cross-"
    ):
        gonio.Head(DIM, CLASSES, name, label_smoothing=EPS)


def test_an_ignored_label_without_mass_hides_nothing():
    head = gonio.Head(DIM, CLASSES, "arcface", ignore_index=-100, dtype=torch.float64)
    labels = torch.tensor([[1, -100], [2, -100], [-100, 3], [4, 5]])
    mass = torch.tensor([[1, 0], [0.5, 0.5], [math.nan, 1], [0.5, 0.5]], dtype=torch.float64)
    found = head(made().embeddings, labels, label_mass=mass, reduction="none")
    alone = head(made().embeddings[:1], torch.tensor([1]), reduction="none")
    torch.testing.assert_close(found[:1], alone)
    assert found[1:3].tolist() == [0, 0]
    assert found[3] > 0


def test_smoothing_over_classes_that_are_left_out_is_refused():
    with pytest.raises(ValueError, match=r"^label_smoothing: 0\.1 would spread mass over classes"):
        gonio.Head(DIM, CLASSES, "filtered-cosface", label_smoothing=EPS)
    zeroed = losses.filtered_cosface(mode="zero")
    gonio.Head(DIM, CLASSES, zeroed, label_smoothing=EPS)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, math.nan])
def test_smoothing_outside_its_range_is_refused(smoothing):
    with pytest.raises(ValueError, match=r"^label_smoothing: .* is out of range \[0, 1\)"):
        gonio.Head(DIM, CLASSES, "arcface", label_smoothing=smoothing)


@pytest.mark.parametrize("name", sorted(ONE_LABEL))
def test_several_labels_are_refused_where_they_are_not_defined(name):
    head = gonio.Head(DIM, CLASSES, name)
    labels, mass = given(MIXED)
    for spelling in ((labels, mass), (probabilities(MIXED), None)):
        with pytest.raises(ValueError, match=r"^labels: several for a sample are defined for"):
            head(made().embeddings.float(), spelling[0], label_mass=spelling[1])


@pytest.mark.parametrize("total", [0.9, 1.1])
def test_masses_that_nearly_add_up_are_refused(total):
    head = gonio.Head(DIM, CLASSES, "arcface")
    labels, mass = given(MIXED)
    with pytest.raises(ValueError, match=rf"^label_mass: the sum is {total} at row 0"):
        head(made().embeddings, labels, label_mass=total * mass)


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
        ((soft[:, 1:], None), r"labels: float64\[4, 8\] does not match batch and classes \[4, 9\]"),
        ((labels + 5, mass), r"labels: 10 is out of range \[0, 9\) at row 0"),
    ):
        with pytest.raises(ValueError, match=message):
            head(x, wrong[0], label_mass=wrong[1])
