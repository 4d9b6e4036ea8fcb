"""The equation as a function, for programs that keep the class weights themselves."""

from collections.abc import Mapping

import torch
from torch import Tensor

from gonio.base.checks import check_embeddings, check_values
from gonio.columns import ClassWeights
from gonio.engines import Reference
from gonio.engines.seam import Engine
from gonio.engines.workspace import Workspace
from gonio.equation import margin_loss as equation
from gonio.head.labels import read_targets
from gonio.head.settings import as_loss
from gonio.loss import Loss
from gonio.rules.facts import Memory


def margin_loss(
    embeddings: Tensor,
    weight: Tensor,
    labels: Tensor,
    loss: str | Loss,
    *,
    kept: Mapping[str, Tensor] | None = None,
    engine: Engine = Reference(),  # noqa: B008
) -> Tensor:
    """The losses of a batch, as a pure function: torch.func goes through it.

    Nothing is kept from batch to batch: schedules have run, and statistics stay as they are given.

    Args:
        embeddings: (batch, dim), floating.
        weight: (classes, dim) or (classes, centers, dim).
        labels: (batch,) integers in [0, classes).
        loss: a name from `gonio.losses.names()`, or a loss over class weights.
        kept: what the loss learns or remembers, by name, such as `{"bias": (classes,)}`; see
            `gonio.Head`, whose `named_parameters` and `named_buffers` have it.
        engine: how the pool over the other classes is computed; torch.func needs `Reference`.

    Returns:
        (batch,) losses in float32, or float64 if that is what came in.

    Raises:
        KeyError: the loss keeps something that `kept` has not.
        ValueError: a loss that compares the samples of a batch, shapes that do not match, or a label
            out of range.
    """
    found = as_loss(loss, len(weight)).settled()
    if found.pairing.against != "classes":
        raise ValueError(f"loss: it compares {found.pairing}; build a gonio.Head with it")
    check_embeddings(embeddings, weight.shape[-1], weight.device)
    targets = read_targets(labels, None, embeddings, len(weight), None)
    check_values(embeddings, targets.labels, len(weight), None)
    dtype = torch.promote_types(embeddings.dtype, weight.dtype)
    x = embeddings.to(torch.promote_types(dtype, torch.float32))
    memory = Memory(kept or {})
    offset = found.offset(memory)
    offset = None if offset is None else offset.to(x.dtype).expand(len(weight))
    columns = ClassWeights(weight, found.score, engine, Workspace(), offset)
    return equation(x, targets, found, columns, memory).losses
