"""Angles that are multiplied or divided."""

import math

from contract.golden.parts import cosines, cross_entropy, scale_of, split, staircase

__all__ = ["sphereface_r"]


def sphereface_r(x, w, b, y, *, version="v2", margin=1.5, scale=30.0, gradient="detached"):
    own, others = split(cosines(x, w), y)
    angle = math.acos(own)
    if version == "v0":
        target, negatives = staircase(margin * angle), others
    elif version == "v1":
        target, negatives = math.cos(min(margin * angle, math.pi)), others
    else:
        target, negatives = own, [math.cos(math.acos(c) / margin) for c in others]
    scale = scale_of(scale, len(w), 1.0)
    return cross_entropy(scale * target, [scale * c for c in negatives])
