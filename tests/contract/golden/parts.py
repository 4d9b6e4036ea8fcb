"""What the formulas share, each written once: cosines, angular margins, sums of exponentials."""

import math

import numpy as np


def cosines(x, w):
    """Between a vector and every row, (C,)."""
    return (w / np.linalg.norm(w, axis=1, keepdims=True)) @ (x / np.linalg.norm(x))


def center_cosines(x, w):
    """Between a vector and every centre of every class, (C, K)."""
    return np.stack([cosines(x, np.atleast_2d(centers)) for centers in w])


def logits(x, w, b, bias):
    """Of plain softmax, (C,)."""
    return w @ x + (b if bias else 0)


def split(scores, y):
    """The own score, and all others."""
    return scores[y], np.delete(scores, y)


def scale_of(scale, classes, best):
    """A number, or the CosFace bound at P = 0.9999, where a learned scale begins too."""
    if scale not in ("learned", "auto"):
        return scale
    return math.log((classes - 1) * 0.9999 / 0.0001) / (best + 1 / (classes - 1))


def shifted(cosine, m1=1.0, m2=0.0, past_pi="fold"):
    """The cosine of the angle m1 t + m2, and what stands for it past pi."""
    phi = m1 * math.acos(cosine) + m2
    if past_pi == "easy":
        return math.cos(phi) if cosine > 0 else cosine
    if past_pi == "fold":
        return staircase(phi)
    if phi <= math.pi or past_pi == "raw":
        return math.cos(phi)
    return {
        "line": cosine - m2 * math.sin(m2),
        "shift": cosine - (1 - math.cos(m2)),
        "clamp": -1.0,
    }[past_pi]


def staircase(phi):
    """The curve of A-Softmax: half turn by half turn, each one lower by 2."""
    k = 0
    while phi > (k + 1) * math.pi:
        k += 1
    while phi < k * math.pi:
        k -= 1
    return (-1) ** k * math.cos(phi) - 2 * k


def cross_entropy(target, negatives):
    return math.log(math.exp(target) + sum(math.exp(z) for z in negatives)) - target


def soft_hinge(u, temperature=1.0):
    """The softplus; at temperature 0 the hinge."""
    if temperature == 0:
        return max(u, 0)
    return temperature * math.log1p(math.exp(u / temperature))


def soft_max(z, temperature):
    if temperature == 0:
        return max(z)
    return temperature * math.log(sum(math.exp(v / temperature) for v in z))
