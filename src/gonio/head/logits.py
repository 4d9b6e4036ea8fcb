"""Scores of all classes, without the margin or with it."""

import torch
from torch import Tensor

from gonio.columns import Columns
from gonio.engines.tile import lean_products, modulated, products
from gonio.equation import scored
from gonio.loss import Loss
from gonio.rules.facts import Embedded, Memory
from gonio.targets import Targets


def plain_logits(embeddings: Tensor, weight: Tensor, loss: Loss, memory: Memory) -> Tensor:
    """(batch, dim) -> (batch, classes): scale x score, and what of the offset stays after training."""
    embedded = Embedded(embeddings)
    x = embedded.x if loss.score.unit_embedding else embeddings
    scores = products if torch.is_grad_enabled() else lean_products
    logits = loss.scale(embedded, memory)[:, None] * scores(x, weight, loss.score)
    offset = loss.offset.after_training(memory)
    return logits if offset is None else logits + offset.to(x.dtype)


def trained_logits(
    embeddings: Tensor,
    targets: Targets,
    loss: Loss,
    columns: Columns,
    weight: Tensor,
    memory: Memory,
) -> Tensor:
    """(batch, dim) -> (batch, classes): the scores that the loss compares, z of the equation."""
    asked = scored(embeddings, targets, loss, columns, memory)
    query, targets = asked.query, asked.targets
    cosine = products(query.x, weight, query.score)
    offset = loss.offset(memory)
    offset = None if offset is None else offset.to(cosine.dtype).expand(len(weight))
    logits = modulated(cosine, offset, query.sample, query.negative)
    own = asked.score.view(targets.labels.shape)
    place = targets.labels.masked_fill(targets.labels < 0, len(weight))  # beyond the last class
    return torch.nn.functional.pad(logits, (0, 1)).scatter(1, place, own)[:, : len(weight)]
