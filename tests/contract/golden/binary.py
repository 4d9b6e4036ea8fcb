"""Each class against a border of its own, with the learned borders at their first value."""

import math

from contract.golden.parts import cosines, scale_of, soft_hinge, split

__all__ = ["d_softmax", "p2sgrad", "sphereface2", "uniface"]


def sphereface2(
    x,
    w,
    b,
    y,
    *,
    kind="C",
    margin=0.4,
    weight=0.7,
    power=3.0,
    scale=40.0,
    factor=50.0,
    gradient="exact",
):
    def score_of_own(cosine):
        if kind == "C":
            return scale * (g(cosine) - margin)
        return scale * g(math.cos(min(math.acos(cosine) + margin, math.pi)))

    def score_of_other(cosine):
        return scale * (g(cosine) + margin if kind == "C" else g(cosine))

    def g(cosine):
        return 2 * ((cosine + 1) / 2) ** power - 1

    border = _balance(score_of_own(0.0), score_of_other(0.0), weight, len(w))
    own, others = split(cosines(x, w), y)
    attracted = weight * soft_hinge(-(score_of_own(own) + border))
    repelled = (1 - weight) * sum(soft_hinge(score_of_other(c) + border) for c in others)
    return factor / scale * (attracted + repelled)


def _balance(own, other, weight, classes):
    """The b at which one target and C - 1 negatives, all at right angles, pull equally."""

    def pull(b):
        towards = weight / (1 + math.exp(own + b))
        away = (1 - weight) * (classes - 1) / (1 + math.exp(-other - b))
        return towards - away

    low, high = -500.0, 500.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if pull(middle) > 0 else (low, middle)
    return low


def uniface(x, w, b, y, *, margin=0.4, weight=1.0, factor=10.0, scale=64.0):
    own, others = split(cosines(x, w), y)
    scale, border = scale_of(scale, len(w), 1 - margin), math.log(factor * len(w))
    repelled = sum(soft_hinge(scale * c - border) for c in others)
    return soft_hinge(border - scale * (own - margin)) + weight * repelled


def d_softmax(x, w, b, y, *, border=0.9, scale=30.0):
    own, others = split(cosines(x, w), y)
    scale = scale_of(scale, len(w), 1 - border)
    intra = math.log(1 + math.exp(scale * (border - own)))
    return intra + math.log(1 + sum(math.exp(scale * c) for c in others))


def p2sgrad(x, w, b, y):
    own, others = split(cosines(x, w), y)
    return ((own - 1) ** 2 + sum(c**2 for c in others)) / 2
