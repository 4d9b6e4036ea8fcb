"""Entry checks of a head: what is wrong, where, what is allowed, and the mend."""

from collections.abc import Iterable

import torch
from torch import Tensor


def describe(tensor: Tensor) -> str:
    """Such as `float32[256, 512]`."""
    return f"{str(tensor.dtype).removeprefix('torch.')}{list(tensor.shape)}"


def check_embeddings(embeddings: Tensor, embedding_dim: int, device: torch.device) -> None:
    """Shape, dtype and device of embeddings, without looking at any value.

    Raises:
        TypeError: embeddings that are not floating.
        ValueError: a shape or device that does not go with the head's.
    """
    if not isinstance(embeddings, Tensor):
        raise TypeError(f"embeddings: got {type(embeddings).__name__}, which is not a tensor")
    if not embeddings.is_floating_point():
        raise TypeError(f"embeddings: {describe(embeddings)} are not floating point numbers")
    if embeddings.ndim != 2 or embeddings.shape[1] != embedding_dim:
        raise ValueError(
            f"embeddings: {describe(embeddings)} does not match embedding_dim {embedding_dim}; "
            f"the shape must be [batch, {embedding_dim}]"
        )
    if embeddings.device != device:
        raise ValueError(
            f"embeddings: they are on {embeddings.device}, the head on {device}; move one of them"
        )


def check_labels(labels: Tensor, embeddings: Tensor) -> None:
    """Shape, dtype and device of labels, one for each row, without looking at any value.

    Raises:
        TypeError: labels that are not integers.
        ValueError: a shape or device that does not go with the embeddings'.
    """
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise TypeError(
            f"labels: {describe(labels)} are not class indices; pass integers, such as labels.long()"
        )
    if labels.shape != embeddings.shape[:1]:
        raise ValueError(
            f"labels: {describe(labels)} does not match embeddings {describe(embeddings)}; "
            f"one label for each row is needed, shape [{len(embeddings)}]"
        )
    if labels.device != embeddings.device:
        raise ValueError(
            f"labels: they are on {labels.device}, the head on {embeddings.device}; "
            "move one of them"
        )


@torch.compiler.disable  # type: ignore[untyped-decorator]
def check_values(
    embeddings: Tensor, labels: Tensor, num_classes: int, ignore_index: int | None
) -> None:
    """Labels, (batch,) or (batch, k), in range and embeddings finite in every row that counts.

    In one look at the device, which a sum that overflows may make two.

    Raises:
        ValueError: names the first row that is wrong.
    """
    if ignore_index is None and labels.numel():
        low, high = labels.aminmax()
        if bool((low >= 0) & (high < num_classes) & (embeddings.detach().sum() * 0 == 0)):
            return
    counts = torch.ones_like(labels, dtype=torch.bool)
    if ignore_index is not None:
        counts = labels != ignore_index
    wrong_label = ((labels < 0) | (labels >= num_classes)) & counts
    row_counts = counts if counts.ndim == 1 else counts.all(dim=1)
    not_finite = ~(embeddings.abs().amax(dim=1) < torch.inf) & row_counts
    if not bool(wrong_label.any() | not_finite.any()):
        return
    if bool(wrong_label.any()):
        row = int(wrong_label.nonzero()[0, 0])
        label = int(labels[wrong_label][0])
        mend = (
            f"to leave such rows out, build the head with ignore_index={label}"
            if label < 0
            else "did the data change after the head was built?"
        )
        raise ValueError(f"labels: {label} is out of range [0, {num_classes}) at row {row}; {mend}")
    row = int(not_finite.nonzero()[0])
    value = embeddings[row][~embeddings[row].isfinite()][0].item()
    raise ValueError(
        f"embeddings: {value} at row {row}; all must be finite: lower the learning rate, or look at "
        "the input of that row"
    )


@torch.compiler.disable  # type: ignore[untyped-decorator]
def check_loss(
    per_sample: Tensor,
    rows: Tensor | None,
    parameters: Iterable[tuple[str, Tensor]],
    sum_of_weight: Tensor | None = None,
) -> None:
    """Finite losses; from finite embeddings, only a broken parameter or an overflow gives others.

    A class that scores -inf has no part in the loss, and yet makes gradients NaN: so where weights are
    not normalised their sum is looked at too.

    Args:
        per_sample: losses of the rows that count.
        rows: which rows of the batch those are; None where all count.
        parameters: of the head, by name; those of more than 0 dimensions have a row for each class.
        sum_of_weight: (), or None where it need not be looked at.

    Raises:
        ValueError: names the first row, and the parameter that is not finite.
    """
    total = per_sample.detach().sum()
    if bool((total if sum_of_weight is None else total + sum_of_weight) * 0 == 0):
        return
    wrong = ~per_sample.isfinite()
    cause = _broken(parameters)
    if not bool(wrong.any()):
        if cause:
            raise ValueError(cause)
        return
    first = int(wrong.nonzero()[0])
    cause = cause or "the scores overflow; look at the norm of that embedding, or lower the scale"
    row = first if rows is None else int(rows[first])
    raise ValueError(f"loss: {per_sample[first].item()} at row {row}; {cause}")


def _broken(parameters: Iterable[tuple[str, Tensor]]) -> str:
    """A sentence on the first parameter that is not finite; empty where all are."""
    for name, parameter in parameters:
        broken = (~parameter.isfinite()).nonzero()
        if len(broken):
            where = f"{name}: class {int(broken[0, 0])}" if parameter.ndim else name
            return (
                f"{where} is not finite; go back to the last checkpoint and lower the learning rate"
            )
    return ""
