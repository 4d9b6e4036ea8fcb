"""Softmax losses with a term beside them, with centres at 0 and the radius at its start."""

import math

import numpy as np

from contract.golden.multiplicative import sphereface_r
from contract.golden.parts import cosines
from contract.golden.survey import softmax

__all__ = ["center_loss", "regularface", "ring_loss", "sphereface_plus", "uniformface"]


def center_loss(x, w, b, y, *, weight=0.003, rate=0.5, bias=True):
    return softmax(x, w, b, y, bias=bias) + weight / 2 * sum(x**2)


def ring_loss(x, w, b, y, *, weight=0.01, radius=20.0, bias=True):
    return softmax(x, w, b, y, bias=bias) + weight / 2 * (math.sqrt(sum(x**2)) - radius) ** 2


def regularface(x, w, b, y, *, weight=1.0, bias=True):
    nearest = max(np.delete(cosines(w[y], w), y))
    return softmax(x, w, b, y, bias=bias) + weight * nearest


def uniformface(x, w, b, y, *, weight=1.0, bias=True):
    units = [row / np.linalg.norm(row) for row in w]
    distances = [np.linalg.norm(units[y] - unit) for j, unit in enumerate(units) if j != y]
    repelled = sum(1 / (1 + d) for d in distances) / len(distances)
    return softmax(x, w, b, y, bias=bias) + weight * repelled


def sphereface_plus(x, w, b, y, *, margin=1.5, weight=1.0, scale=30.0):
    energies = [1 / math.acos(c) ** 2 for c in np.delete(cosines(w[y], w), y)]
    energy = sum(energies) / len(energies)
    return sphereface_r(x, w, b, y, version="v0", margin=margin, scale=scale) + weight * energy
