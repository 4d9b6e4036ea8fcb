"""Entry checks of a head: what is wrong, where, what is allowed, and the mend."""

from collections.abc import Iterable

import torch
from torch import Tensor


def describe(tensor: Tensor) -> str:
    """Such as `float32[256, 512]`."""
    return f"{str(tensor.dtype).removeprefix('torch.')}{list(tensor.shape)}"


def check_batch(embeddings: Tensor, labels: Tensor, weight: Tensor) -> None:
    """Shapes, dtypes and devices of a batch, without looking at any value.

    Raises:
        TypeError: embeddings that are not floating, labels that are not integers.
        ValueError: shapes or devices that do not go together.
    """
    check_embeddings(embeddings, weight)
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise TypeError(
            f"labels: {describe(labels)} are not class indices; pass integers, such as labels.long()"
        )
    if labels.shape != embeddings.shape[:1]:
        raise ValueError(
            f"labels: {describe(labels)} does not match embeddings {describe(embeddings)}; "
            f"one label for each row is needed, shape [{len(embeddings)}]"
        )
    if labels.device != weight.device:
        raise ValueError(
            f"labels: they are on {labels.device}, the head on {weight.device}; move one of them"
        )


def check_embeddings(embeddings: Tensor, weight: Tensor) -> None:
    """Shape, dtype and device of embeddings, without looking at any value.

    Raises:
        TypeError: embeddings that are not floating.
        ValueError: a shape or device that does not go with the weight's.
    """
    if not embeddings.is_floating_point():
        raise TypeError(f"embeddings: {describe(embeddings)} are not floating point numbers")
    if embeddings.ndim != 2 or embeddings.shape[1] != weight.shape[1]:
        raise ValueError(
            f"embeddings: {describe(embeddings)} does not match embedding_dim {weight.shape[1]}; "
            f"the shape must be [batch, {weight.shape[1]}]"
        )
    if embeddings.device != weight.device:
        raise ValueError(
            f"embeddings: they are on {embeddings.device}, the head on {weight.device}; "
            "move one of them"
        )


@torch.compiler.disable  # type: ignore[untyped-decorator]
def check_values(
    embeddings: Tensor, labels: Tensor, num_classes: int, ignore_index: int | None
) -> None:
    """Labels in range and embeddings finite in every row that counts, in one look at the device.

    Raises:
        ValueError: names the first row that is wrong.
    """
    counts = torch.ones_like(labels, dtype=torch.bool)
    if ignore_index is not None:
        counts = labels != ignore_index
    wrong_label = ((labels < 0) | (labels >= num_classes)) & counts
    not_finite = ~embeddings.isfinite().all(dim=1) & counts
    if not bool((wrong_label | not_finite).any()):
        return
    if bool(wrong_label.any()):
        row = int(wrong_label.nonzero()[0])
        label = int(labels[row])
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
def check_sample_weight(sample_weight: Tensor, labels: Tensor) -> None:
    """One finite weight >= 0 for each row.

    Raises:
        ValueError: another shape, or the first weight that is wrong.
    """
    if sample_weight.shape != labels.shape:
        raise ValueError(
            f"sample_weight: {describe(sample_weight)} does not match labels {describe(labels)}"
        )
    wrong = ~(sample_weight.isfinite() & (sample_weight >= 0))
    if bool(wrong.any()):
        row = int(wrong.nonzero()[0])
        raise ValueError(
            f"sample_weight: {sample_weight[row].item()} at row {row}; weights are finite and >= 0"
        )


@torch.compiler.disable  # type: ignore[untyped-decorator]
def check_loss(
    per_sample: Tensor, rows: Tensor | None, parameters: Iterable[tuple[str, Tensor]]
) -> None:
    """Finite losses; from finite embeddings, only a broken parameter or an overflow gives others.

    Args:
        per_sample: losses of the rows that count.
        rows: which rows of the batch those are; None where all count.
        parameters: of the head, by name; those of more than 0 dimensions have a row for each class.

    Raises:
        ValueError: names the first row, and the parameter that is not finite.
    """
    wrong = ~per_sample.isfinite()
    if not bool(wrong.any()):
        return
    first = int(wrong.nonzero()[0])
    cause = "the scores overflow; look at the norm of that embedding, or lower the scale"
    for name, parameter in parameters:
        broken = (~parameter.isfinite()).nonzero()
        if len(broken):
            where = f"{name}: class {int(broken[0, 0])}" if parameter.ndim else name
            cause = (
                f"{where} is not finite; go back to the last checkpoint and lower the learning rate"
            )
            break
    row = first if rows is None else int(rows[first])
    raise ValueError(f"loss: {per_sample[first].item()} at row {row}; {cause}")
