"""Every row of the table once more, sample by sample, in plain NumPy and math.

Written from the papers' equations (named in each row's docstring), not from gonio's rules: arccos
where gonio uses atan2, loops where it uses tensors. Good to about 1e-9 at ordinary inputs.
"""

import math

import numpy as np


def softmax(x, w, b, y, *, bias=True):
    z = w @ x + (b if bias else 0)
    return _cross_entropy(z[y], np.delete(z, y))


def hinge(x, w, b, y, *, margin=0.35, temperature=0.0, scale=30.0, score="cosine"):
    target, negatives = _scores(x, w, y, scale, score, margin)
    return sum(_soft_hinge(z - target, temperature) for z in negatives)


def max_hinge(x, w, b, y, *, margin=0.35, temperature=0.0, scale=30.0, score="cosine"):
    target, negatives = _scores(x, w, y, scale, score, margin)
    return max(_soft_max(negatives, temperature) - target, 0)


def lse_hinge(x, w, b, y, *, margin=0.35, temperature=1.0, scale=30.0, score="cosine"):
    target, negatives = _scores(x, w, y, scale, score, margin)
    return max(_soft_max(negatives, temperature) - target, 0)


def softplus_lse(x, w, b, y, *, margin=0.35, temperature=1.0, scale=30.0, score="cosine"):
    target, negatives = _scores(x, w, y, scale, score, margin)
    return _soft_hinge(_soft_max(negatives, temperature) - target, temperature)


def normface(x, w, b, y, *, scale="learned", minimum=None):
    return am_softmax(x, w, b, y, margin=0.0, scale=scale)


def am_softmax(x, w, b, y, *, margin=0.35, scale=30.0):
    target, negatives = _scores(x, w, y, scale, "cosine", margin)
    return _cross_entropy(target, negatives)


def cosface(x, w, b, y, *, margin=0.35, scale=64.0):
    return am_softmax(x, w, b, y, margin=margin, scale=scale)


def arcface(x, w, b, y, *, margin=0.5, scale=64.0, past_pi="fold", gradient="exact"):
    return combined(
        x, w, b, y, m1=1.0, m2=margin, m3=0.0, scale=scale, past_pi=past_pi, gradient=gradient
    )


def combined(x, w, b, y, *, m1=1.0, m2=0.3, m3=0.2, scale=64.0, past_pi="fold", gradient="exact"):
    cosines = _cosines(x, w)
    angle = math.acos(cosines[y])
    phi = m1 * angle + m2
    if past_pi == "easy":
        target = math.cos(phi) if cosines[y] > 0 else cosines[y]
    elif phi <= math.pi or past_pi == "raw":
        target = _psi(phi) if past_pi == "fold" else math.cos(phi)
    else:
        target = {
            "fold": _psi(phi),
            "line": cosines[y] - m2 * math.sin(m2),
            "shift": cosines[y] - (1 - math.cos(m2)),
            "clamp": -1.0,
        }[past_pi]
    scale = _scale(scale, len(w), math.cos(m2) - m3)
    return _cross_entropy(scale * (target - m3), scale * np.delete(cosines, y))


def l_softmax(x, w, b, y, *, margin=2.0, annealing=1000.0):
    inner = w @ x
    magnitude = np.linalg.norm(x) * np.linalg.norm(w[y])
    psi = _psi(margin * math.acos(inner[y] / magnitude))
    target = (annealing * inner[y] + magnitude * psi) / (annealing + 1)
    return _cross_entropy(target, np.delete(inner, y))


def sphereface(x, w, b, y, *, margin=4.0, annealing=1000.0):
    cosines = _cosines(x, w)
    psi = _psi(margin * math.acos(cosines[y]))
    norm = np.linalg.norm(x)
    target = norm * (annealing * cosines[y] + psi) / (annealing + 1)
    return _cross_entropy(target, norm * np.delete(cosines, y))


def _cosines(x, w):
    return (w / np.linalg.norm(w, axis=1, keepdims=True)) @ (x / np.linalg.norm(x))


def _scale(scale, classes, best):
    """A number, or the CosFace bound at P = 0.9999, where a learned scale begins too."""
    if scale not in ("learned", "auto"):
        return scale
    return math.log((classes - 1) * 0.9999 / 0.0001) / (best + 1 / (classes - 1))


def _scores(x, w, y, scale, score, margin):
    scale = _scale(scale, len(w), 1 - margin)
    raw = _cosines(x, w) if score == "cosine" else w @ x
    return scale * (raw[y] - margin), scale * np.delete(raw, y)


def _psi(phi):
    """The A-Softmax staircase: half turn by half turn, each one lower by 2."""
    k = 0
    while phi > (k + 1) * math.pi:
        k += 1
    while phi < k * math.pi:
        k -= 1
    return (-1) ** k * math.cos(phi) - 2 * k


def _cross_entropy(target, negatives):
    return math.log(math.exp(target) + sum(math.exp(z) for z in negatives)) - target


def _soft_hinge(u, temperature):
    if temperature == 0:
        return max(u, 0)
    return temperature * math.log1p(math.exp(u / temperature))


def _soft_max(z, temperature):
    if temperature == 0:
        return max(z)
    return temperature * math.log(sum(math.exp(v / temperature) for v in z))
