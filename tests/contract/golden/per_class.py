"""Margins and offsets that differ from class to class, at their start."""

import math

import numpy as np

from contract.golden.centers import sub_center_arcface
from contract.golden.parts import cross_entropy, logits, scale_of, split
from contract.golden.survey import am_softmax, arcface

__all__ = ["adaptiveface", "dynamic_arcface", "kappaface", "ldam", "logit_adjustment"]


def logit_adjustment(x, w, b, y, *, counts, temperature=1.0, bias=True):
    counts = counts.tolist()
    prior = np.array([math.log(n / sum(counts)) for n in counts])
    return cross_entropy(*split(logits(x, w, b, bias) + temperature * prior, y))


def ldam(x, w, b, y, *, counts, margin=0.5, power=0.25, scale=30.0):
    scale, counts = scale_of(scale, len(w), 1 - margin / 2), counts.tolist()
    own_margin = margin * (counts[y] / min(counts)) ** -power
    return am_softmax(x, w, b, y, margin=own_margin, scale=scale)


def dynamic_arcface(x, w, b, y, *, counts, low=0.05, high=0.5, power=0.25, centers=3, scale=80.0):
    middle = (low + high) / 2
    rarity = [n**-power for n in counts.tolist()]
    spread = max(rarity) - min(rarity)
    margin = low + (high - low) * (rarity[y] - min(rarity)) / spread if spread else middle
    scale = scale_of(scale, len(w), math.cos(middle))
    return sub_center_arcface(x, w, b, y, margin=margin, scale=scale)


def adaptiveface(x, w, b, y, *, start=0.35, weight=70.0, scale=30.0):
    return am_softmax(x, w, b, y, margin=start, scale=scale) + weight * (1 - start)


def kappaface(x, w, b, y, *, margin=0.62, temperature=0.55, balance=0.7, every=1000, scale=64.0):
    """Before the first renewal, where every class weighs 1."""
    return arcface(x, w, b, y, margin=margin, scale=scale)
