"""The truth: the whole matrix at once, differentiated by autograd, in any dtype."""

import torch
from torch import Tensor

from gonio.equation import Classes, Loss, Sample
from gonio.negatives import tile


def reference(x: Tensor, classes: Classes, sample: Sample, labels: Tensor, loss: Loss) -> Tensor:
    """See `gonio.equation.Negatives`. Stores (batch, classes) several times over."""
    cosine = tile.products(x, classes.weight, loss.score)
    scores = tile.modulated(cosine, classes.offset, sample, loss.negative)
    whose = classes.labels
    if whose is None:
        whose = torch.arange(len(classes.weight), device=labels.device)
    for own in labels.unbind(1) if labels.ndim == 2 else (labels,):
        scores = scores.masked_fill(own[:, None] == whose, -torch.inf)
    return loss.pool.value(loss.pool.fold(scores))
