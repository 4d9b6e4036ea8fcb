"""Normalised embeddings or weights, without a margin."""

import math

import numpy as np

from contract.golden.parts import cross_entropy, scale_of, split
from contract.golden.survey import normface

__all__ = ["adacos", "coco", "l2_softmax"]


def l2_softmax(x, w, b, y, *, scale=16.0):
    scale = scale_of(scale, len(w), 1.0)
    return cross_entropy(*split(w @ (scale * x / np.linalg.norm(x)), y))


def coco(x, w, b, y, *, scale=30.0):
    return normface(x, w, b, y, scale=scale)


def adacos(x, w, b, y, *, mode="dynamic"):
    """At its start, where both modes are the same."""
    return normface(x, w, b, y, scale=max(math.sqrt(2) * math.log(len(w) - 1), 1.0))
