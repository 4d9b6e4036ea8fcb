"""Scores of all classes, without the margin or with it."""

import torch
from torch import Tensor

from gonio.engines.tile import lean_products, products
from gonio.loss import Loss
from gonio.rules.facts import Embedded, Memory


def plain_logits(embeddings: Tensor, weight: Tensor, loss: Loss, memory: Memory) -> Tensor:
    """(batch, dim) -> (batch, classes): scale x score, and what of the offset stays after training."""
    embedded = Embedded(embeddings)
    x = embedded.x if loss.score.unit_embedding else embeddings
    scores = products if torch.is_grad_enabled() else lean_products
    logits = loss.scale(embedded, memory)[:, None] * scores(x, weight, loss.score)
    offset = loss.offset.after_training(memory)
    return logits if offset is None else logits + offset.to(x.dtype)
