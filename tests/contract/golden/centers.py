"""Several centres for each class; w is (C, K, D), or (C, D) where K is 1."""

import math

import numpy as np

from contract.golden.parts import center_cosines, cross_entropy, scale_of, shifted, split

__all__ = ["inter_topk", "soft_triple", "sub_center_arcface"]


def sub_center_arcface(x, w, b, y, *, centers=3, margin=0.5, scale=64.0, past_pi="fold"):
    own, others = split(center_cosines(x, w).max(axis=1), y)
    scale = scale_of(scale, len(w), shifted(1.0, 1.0, margin, past_pi))
    return cross_entropy(scale * shifted(own, 1.0, margin, past_pi), scale * others)


def inter_topk(x, w, b, y, *, centers=3, margin=0.2, k=5, penalty=0.06, scale=32.0, past_pi="fold"):
    own, others = split(center_cosines(x, w).max(axis=1), y)
    scale = scale_of(scale, len(w), shifted(1.0, 1.0, margin, past_pi))
    hardest_first = sorted(others, reverse=True)
    negatives = [_nearer(c, penalty) for c in hardest_first[:k]] + hardest_first[k:]
    target = shifted(own, 1.0, margin, past_pi)
    return cross_entropy(scale * target, [scale * c for c in negatives])


def _nearer(cosine, penalty):
    angle = math.acos(cosine)
    turned = math.cos(angle - penalty)
    return turned if angle >= penalty else 2 - turned


def soft_triple(x, w, b, y, *, centers=10, temperature=0.1, margin=0.01, weight=0.2, scale=20.0):
    scores = []
    for products in center_cosines(x, w):
        shares = [math.exp(c / temperature) for c in products]
        mixed = sum(share * c for share, c in zip(shares, products, strict=True))
        scores.append(mixed / sum(shares))
    own, others = split(scores, y)
    scale = scale_of(scale, len(w), 1 - margin)
    return cross_entropy(scale * (own - margin), scale * others) + weight * _spread(w[y])


def _spread(centers):
    """sum over pairs of their distance, divided by K (K - 1); eq. (9) for one class."""
    units = [center / np.linalg.norm(center) for center in np.atleast_2d(centers)]
    pairs = [(a, b) for i, a in enumerate(units) for b in units[:i]]
    distances = [math.sqrt(2 - 2 * (a @ b)) for a, b in pairs]
    return sum(distances) / (len(units) * (len(units) - 1)) if pairs else 0.0
