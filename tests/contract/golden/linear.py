"""Straight lines and a parabola in the angle."""

import math

from contract.golden.parts import cosines, cross_entropy, scale_of, split

__all__ = ["ga_softmax", "li_arcface", "x2_softmax"]


def ga_softmax(x, w, b, y, *, margin=1.5, scale=30.0):
    scale = scale_of(scale, len(w), 1.0)
    angles = [math.acos(c) for c in cosines(x, w)]
    angles[y] *= margin
    return cross_entropy(*split([scale * _line(t) for t in angles], y))


def li_arcface(x, w, b, y, *, margin=0.45, scale=64.0):
    scale = scale_of(scale, len(w), _line(margin))
    angles = [math.acos(c) for c in cosines(x, w)]
    angles[y] += margin
    return cross_entropy(*split([scale * _line(t) for t in angles], y))


def x2_softmax(x, w, b, y, *, bend=0.9, start=0.0, top=0.65, scale=64.0, gradient="exact"):
    scale = scale_of(scale, len(w), top - bend * start**2)
    own, others = split(cosines(x, w), y)
    target = top - bend * (math.acos(own) - start) ** 2
    return cross_entropy(scale * target, scale * others)


def _line(angle):
    """1 at 0, 0 at a right angle, -1 at pi."""
    return (math.pi - 2 * angle) / math.pi
