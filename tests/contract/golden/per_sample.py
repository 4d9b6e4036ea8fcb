"""Margins that differ from sample to sample, at the start and outside training."""

import math

import numpy as np

from contract.golden.parts import cosines, cross_entropy, scale_of, split, staircase
from contract.golden.survey import arcface, cosface

__all__ = ["adaface", "elastic_arcface", "elastic_cosface", "magface"]


def magface(
    x,
    w,
    b,
    y,
    *,
    low=0.45,
    high=0.8,
    norm_low=10.0,
    norm_high=110.0,
    weight=35.0,
    scale=64.0,
    past_pi="fold",
):
    a = min(max(np.linalg.norm(x), norm_low), norm_high)
    margin = low + (high - low) * (a - norm_low) / (norm_high - norm_low)
    scale = scale_of(scale, len(w), math.cos((low + high) / 2))
    reward = weight * (a / norm_high**2 + 1 / a)
    return arcface(x, w, b, y, margin=margin, scale=scale, past_pi=past_pi) + reward


def adaface(
    x,
    w,
    b,
    y,
    *,
    margin=0.4,
    concentration=0.333,
    momentum=0.99,
    scale=64.0,
    past_pi="fold",
    gradient="detached",
):
    """With its first statistics, mean 20 and standard deviation 100."""
    own, others = split(cosines(x, w), y)
    norm = min(max(np.linalg.norm(x), 0.001), 100)
    quality = min(max(concentration * (norm - 20) / (100 + 0.001), -1), 1)
    phi = math.acos(own) - margin * quality
    turned = staircase(phi) if past_pi == "fold" else math.cos(min(max(phi, 0), math.pi))
    scale = scale_of(scale, len(w), 1 - margin)
    return cross_entropy(scale * (turned - (margin + margin * quality)), scale * others)


def elastic_arcface(x, w, b, y, *, margin=0.5, std=0.05, order="random", scale=64.0):
    return arcface(x, w, b, y, margin=margin, scale=scale)


def elastic_cosface(x, w, b, y, *, margin=0.35, std=0.05, order="random", scale=64.0):
    return cosface(x, w, b, y, margin=margin, scale=scale)
