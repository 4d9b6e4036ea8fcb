"""Rows whose gradient takes a factor as a constant: finite differences with that factor frozen."""

import math
from functools import partial

import numpy as np
import pytest
import torch

import gonio
from contract.golden.parts import cosines, shifted, soft_hinge, split, staircase
from gonio import losses

SIZE, CLASSES, DIM, SCALE = 4, 6, 4, 6.0


def cross_entropy(z, y):
    return math.log(np.exp(z).sum()) - z[y]


def moved_by(margin):
    """The margin moves the own score by what it was at the frozen cosines, and no more."""

    def loss(c, frozen, y, norm, b):
        z = c.copy()
        z[y] += margin(frozen[y]) - frozen[y]
        return cross_entropy(SCALE * z, y)

    return loss


def divided(c, frozen, y, norm, b):
    moves = np.array([math.cos(math.acos(one) / 1.5) - one for one in frozen])
    moves[y] = 0
    return cross_entropy(SCALE * (c + moves), y)


def circle(c, frozen, y, norm, b):
    z = np.maximum(frozen + 0.25, 0) * (c - 0.25)
    z[y] = max(1.25 - frozen[y], 0) * (c[y] - 0.75)
    return cross_entropy(SCALE * z, y)


def arcnegface(c, frozen, y, norm, b):
    f = 1.2 * np.exp(-((frozen - shifted(frozen[y], m2=0.5)) ** 2) / 2)
    z = f * c + f - 1
    z[y] = shifted(c[y], m2=0.5)
    return cross_entropy(SCALE * z, y)


def npcface(c, frozen, y, norm, b):
    is_hard = frozen > math.cos(math.acos(frozen[y]) + 0.5)
    is_hard[y] = False
    mean = frozen[is_hard].mean() if is_hard.any() else 0
    z = np.where(is_hard, 1.1 * c + 0.2, c)
    z[y] = shifted(c[y], m2=0.4 + 0.6 * mean)
    return cross_entropy(SCALE * z, y)


def adaface(c, frozen, y, norm, b):
    quality = min(max(0.333 * (norm - 3) / 1.001, -1), 1)
    z = c.copy()
    z[y] = shifted(c[y], m2=-0.4 * quality) - 0.4 * (1 + quality)
    return cross_entropy(SCALE * z, y)


def g(c):
    return 2 * ((c + 1) / 2) ** 3 - 1


def binary(target, negative):
    def loss(c, frozen, y, norm, b):
        moves = np.array([negative(one) - one for one in frozen])
        moves[y] = target(frozen[y]) - frozen[y]
        own, others = split(SCALE * (c + moves) + b, y)
        pull, push = soft_hinge(-own), sum(soft_hinge(z) for z in others)
        return 50 / SCALE * (0.7 * pull + 0.3 * push)

    return loss


ROWS = {
    "sphereface-r v0": (
        partial(losses.sphereface_r, "v0", 1.5, SCALE),
        moved_by(lambda c: staircase(1.5 * math.acos(c))),
    ),
    "sphereface-r v1": (
        partial(losses.sphereface_r, "v1", 1.5, SCALE),
        moved_by(lambda c: math.cos(min(1.5 * math.acos(c), math.pi))),
    ),
    "sphereface-r v2": (partial(losses.sphereface_r, "v2", 1.5, SCALE), divided),
    "arcface": (partial(losses.arcface, 0.5, SCALE), moved_by(partial(shifted, m2=0.5))),
    "combined": (
        partial(losses.combined, 1.2, 0.3, 0.2, SCALE),
        moved_by(lambda c: shifted(c, m1=1.2, m2=0.3) - 0.2),
    ),
    "x2-softmax": (
        partial(losses.x2_softmax, 0.9, 0.0, 0.65, SCALE),
        moved_by(lambda c: 0.65 - 0.9 * math.acos(c) ** 2),
    ),
    "circle": (partial(losses.circle, 0.25, SCALE), circle),
    "arcnegface": (partial(losses.arcnegface, scale=SCALE), arcnegface),
    "npcface": (partial(losses.npcface, slope=0.6, scale=SCALE), npcface),
    "adaface": (partial(losses.adaface, scale=SCALE), adaface),
    "sphereface2 C": (
        partial(losses.sphereface2, "C", scale=SCALE),
        binary(lambda c: g(c) - 0.4, lambda c: g(c) + 0.4),
    ),
    "sphereface2 A": (
        partial(losses.sphereface2, "A", scale=SCALE),
        binary(lambda c: g(math.cos(min(math.acos(c) + 0.4, math.pi))), g),
    ),
}
BY_DEFAULT = ["sphereface-r v0", "sphereface-r v1", "sphereface-r v2", "circle", "adaface"]

on_every_backend = pytest.mark.parametrize("backend", ["reference", "chunked"])
on_every_row = pytest.mark.parametrize("name", ROWS)


def made(name, backend, **gradient):
    """Losses and gradients of a head, and what it was given."""
    generator = torch.Generator().manual_seed(11)
    head = gonio.Head(DIM, CLASSES, ROWS[name][0](**gradient), backend=backend).double().eval()
    x = 1.5 * torch.randn(SIZE, DIM, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        head.weight.copy_(torch.randn(CLASSES, DIM, generator=generator, dtype=torch.float64))
        if name == "adaface":
            head.norm_mean.fill_(3.0)
            head.norm_std.fill_(1.0)
    x.requires_grad_()
    labels = torch.tensor([0, 3, 5, 3])
    per_sample = head(x, labels, reduction="none")
    per_sample.sum().backward()
    return per_sample.detach(), x, labels, head


def frozen_loss(name, x, w, labels, at, b):
    """The sum over the batch, with the constants taken at the pair `at` of embeddings and weights."""
    formula = ROWS[name][1]
    return sum(
        formula(cosines(x[i], w), cosines(at[0][i], at[1]), y, np.linalg.norm(at[0][i]), b)
        for i, y in enumerate(labels)
    )


def slopes(name, x, w, labels, b, step=1e-6):
    """Central differences in every entry of the embeddings and of the weight."""
    at = x.copy(), w.copy()
    found = []
    for moving in (x, w):
        slope = np.zeros_like(moving)
        for place in np.ndindex(moving.shape):
            ends = []
            for sign in (1, -1):
                moving[place] += sign * step
                ends.append(frozen_loss(name, x, w, labels, at, b))
                moving[place] -= sign * step
            slope[place] = (ends[0] - ends[1]) / (2 * step)
        found.append(slope)
    return found


@on_every_backend
@on_every_row
def test_the_gradient_is_that_of_the_loss_with_its_factor_frozen(name, backend):
    per_sample, x, labels, head = made(name, backend, gradient="detached")
    b = head.threshold.item() if hasattr(head, "threshold") else 0.0
    held = x.detach().numpy().copy(), head.weight.detach().numpy().copy()
    total = frozen_loss(name, *held, labels.tolist(), held, b)
    assert per_sample.sum().item() == pytest.approx(total, rel=1e-10)
    by_x, by_w = slopes(name, *held, labels.tolist(), b)
    # 1e-6 steps of losses near 10: about 1e-8 of rounding
    np.testing.assert_allclose(x.grad.numpy(), by_x, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(head.weight.grad.numpy(), by_w, rtol=1e-6, atol=1e-6)


@on_every_row
def test_the_value_is_the_same_and_the_derivative_another(name):
    detached, x, _, _ = made(name, "reference", gradient="detached")
    exact, same_x, _, _ = made(name, "reference", gradient="exact")
    torch.testing.assert_close(detached, exact)
    apart = (x.grad - same_x.grad).norm() / same_x.grad.norm()
    assert apart > 0.01


@on_every_row
def test_which_of_them_is_the_default(name):
    default, detached = ROWS[name][0](), ROWS[name][0](gradient="detached")
    assert (default == detached) == (name in BY_DEFAULT)


def test_a_detached_quality_leaves_the_norm_alone():
    for gradient, is_free in (("detached", True), ("exact", False)):
        _, x, _, _ = made("adaface", "reference", gradient=gradient)
        along = (x * x.grad).sum(dim=1)
        # a gradient along the embedding would change its norm; to rounding there is none
        assert (along.abs().max().item() < 1e-12) == is_free
