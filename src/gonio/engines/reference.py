"""The truth: the whole matrix at once, differentiated by autograd, in any dtype."""

import torch
from torch import Tensor

from gonio.engines import tile
from gonio.engines.memory import needing
from gonio.engines.seam import Classes
from gonio.loss import Loss
from gonio.rules.facts import Sample


def reference(x: Tensor, classes: Classes, sample: Sample, labels: Tensor, loss: Loss) -> Tensor:
    """See `gonio.engines.seam.Negatives`. Stores (batch, classes) several times over."""
    size = len(x) * len(classes.weight) * x.element_size()
    with needing("the matrix of all scores", size, "backend='chunked' never makes it"):
        return _pooled(x, classes, sample, labels, loss)


def _pooled(x: Tensor, classes: Classes, sample: Sample, labels: Tensor, loss: Loss) -> Tensor:
    cosine = tile.products(x, classes.weight, loss.score)
    scores = tile.modulated(cosine, classes.offset, sample, loss.negative)
    whose = classes.labels
    if whose is None:
        whose = torch.arange(len(classes.weight), device=labels.device)
    for own in labels.unbind(1) if labels.ndim == 2 else (labels,):
        scores = scores.masked_fill(own[:, None] == whose, -torch.inf)
    return loss.pool.value(loss.pool.fold(scores))
