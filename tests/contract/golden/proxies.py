"""Class weights as proxies."""

import math

import numpy as np

from contract.golden.parts import cosines

__all__ = ["proxy_anchor", "proxy_nca"]


def proxy_nca(x, w, b, y, *, scale=1.0, denominator="others"):
    towards = x / np.linalg.norm(x)
    distances = [sum((towards - proxy / np.linalg.norm(proxy)) ** 2) for proxy in w]
    terms = [math.exp(-scale * d) for d in distances]
    everything = sum(terms) if denominator == "all" else sum(np.delete(terms, y))
    return -math.log(terms[y] / everything)


def proxy_anchor(x, w, b, y, *, batch, margin=0.1, scale=32.0):
    """The share of one sample: the mean of the shares is the loss of the batch."""
    embeddings, labels, _ = batch
    cosine = np.stack([cosines(one, w) for one in embeddings])
    pulls = [math.exp(-scale * (c - margin)) for c in cosine[labels == y, y]]
    present = len({int(label) for label in labels})
    attracted = len(labels) / (present * len(pulls)) * math.log(1 + sum(pulls))
    repelled = 0.0
    for proxy in range(len(w)):
        pushes = [math.exp(scale * (c + margin)) for c in cosine[labels != proxy, proxy]]
        repelled += math.log(1 + sum(pushes))
    return attracted + repelled / len(w)
