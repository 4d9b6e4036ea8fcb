"""The survey's chain, and the margins that it tells of."""

import math

import numpy as np

from contract.golden.parts import (
    cosines,
    cross_entropy,
    logits,
    scale_of,
    shifted,
    soft_hinge,
    soft_max,
    split,
    staircase,
)

__all__ = [
    "am_softmax",
    "arcface",
    "combined",
    "cosface",
    "hinge",
    "l_softmax",
    "lse_hinge",
    "max_hinge",
    "normface",
    "softmax",
    "softplus_lse",
    "sphereface",
]


def softmax(x, w, b, y, *, bias=True):
    return cross_entropy(*split(logits(x, w, b, bias), y))


def hinge(x, w, b, y, *, margin=0.35, temperature=0.0, scale=30.0, score="cosine"):
    target, negatives = _scores(x, w, y, scale, score, margin)
    return sum(soft_hinge(z - target, temperature) for z in negatives)


def max_hinge(x, w, b, y, *, margin=0.35, temperature=0.0, scale=30.0, score="cosine"):
    target, negatives = _scores(x, w, y, scale, score, margin)
    return max(soft_max(negatives, temperature) - target, 0)


def lse_hinge(x, w, b, y, *, margin=0.35, temperature=1.0, scale=30.0, score="cosine"):
    return max_hinge(x, w, b, y, margin=margin, temperature=temperature, scale=scale, score=score)


def softplus_lse(x, w, b, y, *, margin=0.35, temperature=1.0, scale=30.0, score="cosine"):
    target, negatives = _scores(x, w, y, scale, score, margin)
    return soft_hinge(soft_max(negatives, temperature) - target, temperature)


def normface(x, w, b, y, *, scale="learned", minimum=None):
    return am_softmax(x, w, b, y, margin=0.0, scale=scale)


def am_softmax(x, w, b, y, *, margin=0.35, scale=30.0):
    return cross_entropy(*_scores(x, w, y, scale, "cosine", margin))


def cosface(x, w, b, y, *, margin=0.35, scale=64.0):
    return am_softmax(x, w, b, y, margin=margin, scale=scale)


def arcface(x, w, b, y, *, margin=0.5, scale=64.0, past_pi="fold", gradient="exact"):
    return combined(x, w, b, y, m1=1.0, m2=margin, m3=0.0, scale=scale, past_pi=past_pi)


def combined(x, w, b, y, *, m1=1.0, m2=0.3, m3=0.2, scale=64.0, past_pi="fold", gradient="exact"):
    own, others = split(cosines(x, w), y)
    scale = scale_of(scale, len(w), shifted(1.0, m1, m2, past_pi) - m3)
    return cross_entropy(scale * (shifted(own, m1, m2, past_pi) - m3), scale * others)


def l_softmax(x, w, b, y, *, margin=2.0, annealing=1000.0):
    own, others = split(w @ x, y)
    magnitude = np.linalg.norm(x) * np.linalg.norm(w[y])
    psi = staircase(margin * math.acos(own / magnitude))
    return cross_entropy((annealing * own + magnitude * psi) / (annealing + 1), others)


def sphereface(x, w, b, y, *, margin=4.0, annealing=1000.0):
    own, others = split(cosines(x, w), y)
    psi = staircase(margin * math.acos(own))
    norm = np.linalg.norm(x)
    return cross_entropy(norm * (annealing * own + psi) / (annealing + 1), norm * others)


def _scores(x, w, y, scale, score, margin):
    scale = scale_of(scale, len(w), 1 - margin)
    own, others = split(cosines(x, w) if score == "cosine" else w @ x, y)
    return scale * (own - margin), scale * others
