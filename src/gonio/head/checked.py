"""Checks of values, also inside a compiled graph: there they are opaque steps on whose answer it depends."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from gonio.base.checks import check_loss, check_values


def checked_labels(
    embeddings: Tensor, labels: Tensor, num_classes: int, ignore_index: int | None
) -> Tensor:
    """The labels, in range, of embeddings that are finite; see `check_values`."""
    if torch.compiler.is_compiling():
        found: Tensor = _labels(embeddings.detach(), labels, num_classes, ignore_index)
        return found
    check_values(embeddings, labels, num_classes, ignore_index)
    return labels


def checked_losses(
    per_sample: Tensor,
    rows: Tensor | None,
    parameters: Iterable[tuple[str, Tensor]],
    sum_of_weight: Tensor | None,
) -> Tensor:
    """The losses, which are finite; see `check_loss`."""
    if torch.compiler.is_compiling():
        held = {name: tensor.detach() for name, tensor in parameters}
        named = ",".join(held), list(held.values())
        zero: Tensor = _losses(per_sample.detach(), rows, *named, sum_of_weight)
        return per_sample + zero
    check_loss(per_sample, rows, parameters, sum_of_weight)
    return per_sample


@torch.library.custom_op("gonio::checked_labels", mutates_args=())
def _labels(
    embeddings: Tensor, labels: Tensor, num_classes: int, ignore_index: int | None
) -> Tensor:
    check_values(embeddings, labels, num_classes, ignore_index)
    return labels.clone()


@_labels.register_fake
def _(embeddings: Tensor, labels: Tensor, num_classes: int, ignore_index: int | None) -> Tensor:
    return torch.empty_like(labels)


@torch.library.custom_op("gonio::checked_losses", mutates_args=())
def _losses(
    per_sample: Tensor,
    rows: Tensor | None,
    names: str,
    parameters: Sequence[Tensor],
    sum_of_weight: Tensor | None,
) -> Tensor:
    named = zip(names.split(","), parameters, strict=False)
    check_loss(per_sample, rows, named, sum_of_weight)
    return per_sample.new_zeros(())


@_losses.register_fake
def _(
    per_sample: Tensor,
    rows: Tensor | None,
    names: str,
    parameters: Sequence[Tensor],
    sum_of_weight: Tensor | None,
) -> Tensor:
    return per_sample.new_zeros(())
