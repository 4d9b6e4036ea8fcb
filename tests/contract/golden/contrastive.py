"""Each sample against the others of its batch; w and b have no part."""

import math

from contract.golden.parts import cosines, soft_hinge

__all__ = ["infonce", "nt_xent", "supcon", "uss"]


def infonce(x, w, b, y, *, batch, temperature=0.07):
    positives, negatives = _others(batch)
    rivals = sum(math.exp(c / temperature) for c in negatives)
    terms = [math.exp(c / temperature) for c in positives]
    return _mean([-math.log(e / (e + rivals)) for e in terms])


def nt_xent(x, w, b, y, *, batch, temperature=0.5):
    positives, negatives = _others(batch)
    everything = sum(math.exp(c / temperature) for c in positives + negatives)
    return _mean([-math.log(math.exp(c / temperature) / everything) for c in positives])


def supcon(x, w, b, y, *, batch, temperature=0.07):
    return nt_xent(x, w, b, y, batch=batch, temperature=temperature)


def uss(x, w, b, y, *, batch, margin=0.1, threshold=0.5, scale=64.0):
    positives, negatives = _others(batch)
    if not positives:
        return 0.0
    border = scale * threshold
    attracted = _mean([soft_hinge(border - scale * (c - margin)) for c in positives])
    return attracted + sum(soft_hinge(scale * c - border) for c in negatives)


def _others(batch):
    """The cosines to the other samples with the label of the sample, and to those with another."""
    embeddings, labels, i = batch
    cosine = cosines(embeddings[i], embeddings)
    positives = [c for j, c in enumerate(cosine) if labels[j] == labels[i] and j != i]
    return positives, [c for j, c in enumerate(cosine) if labels[j] != labels[i]]


def _mean(terms):
    """0 of no terms: a sample alone with its label adds nothing."""
    return sum(terms) / len(terms) if terms else 0.0
