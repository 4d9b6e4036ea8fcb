"""Hard negatives and hard samples, with the level of training at its start, 0."""

import math

import numpy as np

from contract.golden.parts import cosines, cross_entropy, logits, scale_of, shifted, split
from contract.golden.survey import softmax

__all__ = [
    "arcnegface",
    "circle",
    "curricularface",
    "filtered_cosface",
    "focal",
    "hm_softmax",
    "mv_am_softmax",
    "mv_arc_softmax",
    "npcface",
]


def focal(x, w, b, y, *, gamma=2.0, bias=True):
    own, others = split([math.exp(z) for z in logits(x, w, b, bias)], y)
    rest = sum(others) / (own + sum(others))
    return -(rest**gamma) * math.log(own / (own + sum(others)))


def hm_softmax(x, w, b, y, *, batch, keep=0.9, bias=True):
    """The sample counts where it is among the hardest of its batch."""
    embeddings, labels, i = batch
    pairs = zip(embeddings, labels, strict=True)
    losses = [softmax(one, w, b, label, bias=bias) for one, label in pairs]
    kept = max(math.floor(keep * len(losses)), 1)
    is_kept = sum(other > losses[i] for other in losses) < kept
    return losses[i] * len(losses) / kept if is_kept else 0.0


def mv_am_softmax(x, w, b, y, *, margin=0.35, boost=0.2, mode="adaptive", scale=32.0):
    own, others = split(cosines(x, w), y)
    scale = scale_of(scale, len(w), 1 - margin)
    return _mis_classified(own - margin, others, boost, mode, scale)


def mv_arc_softmax(
    x, w, b, y, *, margin=0.35, boost=0.2, mode="adaptive", scale=32.0, past_pi="fold"
):
    own, others = split(cosines(x, w), y)
    scale = scale_of(scale, len(w), shifted(1.0, 1.0, margin, past_pi))
    return _mis_classified(shifted(own, 1.0, margin, past_pi), others, boost, mode, scale)


def _mis_classified(target, others, boost, mode, scale):
    """MV-Softmax: a negative above the target, margin and all, is raised."""
    negatives = []
    for c in others:
        if c > target:
            c = c + boost if mode == "fixed" else c + boost * (c + 1)
        negatives.append(scale * c)
    return cross_entropy(scale * target, negatives)


def curricularface(x, w, b, y, *, margin=0.5, momentum=0.99, scale=64.0, past_pi="fold"):
    own, others = split(cosines(x, w), y)
    scale, level = scale_of(scale, len(w), shifted(1.0, 1.0, margin, past_pi)), 0.0
    target = shifted(own, 1.0, margin, past_pi)
    negatives = [scale * (c * (level + c) if c > target else c) for c in others]
    return cross_entropy(scale * target, negatives)


def arcnegface(
    x,
    w,
    b,
    y,
    *,
    margin=0.5,
    height=1.2,
    width=2.0,
    scale=64.0,
    past_pi="fold",
    gradient="exact",
):
    own, others = split(cosines(x, w), y)
    scale = scale_of(scale, len(w), shifted(1.0, 1.0, margin, past_pi))
    target = shifted(own, 1.0, margin, past_pi)
    factors = [height * math.exp(-((c - target) ** 2) / width) for c in others]
    negatives = [scale * (f * (c + 1) - 1) for f, c in zip(factors, others, strict=True)]
    return cross_entropy(scale * target, negatives)


def npcface(
    x,
    w,
    b,
    y,
    *,
    margin=0.4,
    slope=0.2,
    hard_margin=0.5,
    multiply=1.1,
    boost=0.2,
    scale=64.0,
    past_pi="fold",
    gradient="exact",
):
    own, others = split(cosines(x, w), y)
    scale = scale_of(scale, len(w), shifted(1.0, 1.0, margin, past_pi))
    border = math.cos(math.acos(own) + hard_margin)
    hard = [c for c in others if c > border]
    raised = margin + slope * (sum(hard) / len(hard) if hard else 0)
    negatives = [scale * (multiply * c + boost if c > border else c) for c in others]
    return cross_entropy(scale * shifted(own, 1.0, raised, past_pi), negatives)


def circle(x, w, b, y, *, margin=0.25, scale=256.0, gradient="detached"):
    own, others = split(cosines(x, w), y)
    scale = scale_of(scale, len(w), margin**2)
    target = max(1 + margin - own, 0) * (own - (1 - margin))
    return cross_entropy(
        scale * target, [scale * max(c + margin, 0) * (c - margin) for c in others]
    )


def filtered_cosface(x, w, b, y, *, margin=0.4, above=0.4, mode="drop", scale=64.0):
    own, others = split(cosines(x, w), y)
    scale = scale_of(scale, len(w), 1 - margin)
    near = others > above
    negatives = others[~near] if mode == "drop" else np.where(near, 0, others)
    return cross_entropy(scale * (own - margin), scale * negatives)
