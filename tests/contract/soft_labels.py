"""What a sample of several labels costs, in plain NumPy, over the full row of its scores."""

import math
from functools import partial

import numpy as np
import torch

import gonio
from contract.cases import batch
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
SUMS = {"hinge", "sphereface2", "uniface", "p2sgrad"}
ONE_LABEL = SUMS | {"proxy-anchor", "infonce", "nt-xent", "supcon", "uss"}
DRAWN = {"elastic-arcface", "elastic-cosface"}
HINGES = ("max-hinge", "lse-hinge")
SMOOTH = [name for name in FORMULAS if name not in HINGES]
MIXED = [[(3, 0.7), (5, 0.3)], [(0, 0.5), (8, 0.5)], [(2, 1.0), (4, 0.0)], [(6, 0.2), (1, 0.8)]]
PLAIN = [[(3, 1.0)], [(0, 1.0)], [(2, 1.0)], [(1, 1.0)]]


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


def expected(name, rows, smoothing=0.0, by_class=None):
    """Sample by sample, over the full row of scores; what is paid for a class times its weight."""
    by_class = np.ones(CLASSES) if by_class is None else by_class
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
                cost += by_class[y] * p * max(top - z[y], 0)
        if name not in HINGES:
            share = np.full(CLASSES, smoothing / CLASSES)
            for y, p in mass.items():
                share[y] += (1 - smoothing) * p
            cost = (by_class * share * (math.log(np.exp(z).sum()) - z)).sum()
        found.append(cost)
    return found
