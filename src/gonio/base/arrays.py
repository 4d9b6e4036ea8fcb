"""Rows of numbers as people pass them: tensors, arrays of numpy, lists; in the order of samples or classes."""

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gonio.base.checks import check_labels, describe
from gonio.base.numbers import LARGEST, brief, real_number

Rows = Tensor | np.ndarray[Any, Any] | Sequence[Any]
"""A tensor, an array or a list, a row for each sample or class."""


def tensor_of(name: str, given: object, device: torch.device | None = None) -> Tensor:
    """What was passed, as a tensor; a tensor is not touched.

    Args:
        name: of the argument.
        given: a tensor, or an array or nested lists of numbers.
        device: where a tensor is made if there is none yet.

    Raises:
        TypeError: no numbers, or rows of different lengths.
    """
    if isinstance(given, Tensor):
        return given
    try:
        return torch.tensor(np.ascontiguousarray(given), device=device)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(
            f"{name}: got {brief(given)}; pass a tensor, an array or a list of numbers"
        ) from None


def numbers_of_classes(name: str, given: object) -> tuple[float, ...]:
    """One number for each class, in their order.

    Raises:
        TypeError: what has no order, such as a dictionary by class, or holds other things than numbers.
        ValueError: an array of more dimensions than one, or a tensor that waits for a gradient.
    """
    if isinstance(given, Tensor | np.ndarray):
        if given.ndim != 1:
            raise ValueError(f"{name}: got {brief(given)}; give one number for each class")
        if isinstance(given, Tensor) and given.requires_grad:
            raise ValueError(
                f"{name}: got a tensor that requires a gradient, and would not get one"
            )
        given = given.tolist()
    if not isinstance(given, Iterable) or isinstance(given, Mapping | Set | str):
        raise TypeError(
            f"{name}: got {brief(given)}; give a list of numbers in the order of the classes, such as "
            "[margins[c] for c in range(num_classes)]"
        )
    return tuple(
        one if type(one) is float else real_number(f"{name} of class {row}", one)
        for row, one in enumerate(given)
    )


def read_labels(labels: Rows, embeddings: Tensor, *, are_several: bool) -> Tensor:
    """Labels of a batch in a tensor; their range is not looked at.

    Args:
        labels: (batch,), or more for each row.
        embeddings: (batch, dim), for shape and device.
        are_several: whether more for each row are expected; else a column of integers, (batch, 1), is
            one for each.

    Raises:
        TypeError: no numbers, or one for each row that is no integer.
        ValueError: a shape or device that does not go with the embeddings'.
    """
    found = tensor_of("labels", labels, embeddings.device)
    if found.ndim == 1 and len(found) == 0:
        found = found.long()  # an empty list says nothing of its dtype
    is_column = found.ndim == 2 and found.shape[1] == 1 and not found.is_floating_point()
    if is_column and not are_several:
        found = found[:, 0]
    if found.ndim != 2:
        check_labels(found, embeddings)
    return found


def read_weights(
    name: str, given: object, shape: torch.Size, of: str, device: torch.device | None = None
) -> Tensor:
    """Numbers >= 0 of a shape, one for each row of what they weigh.

    Raises:
        TypeError: no real numbers.
        ValueError: another shape or device, or the first number that is wrong.
    """
    weights = tensor_of(name, given, device)
    if weights.is_complex():
        raise TypeError(f"{name}: got {describe(weights)}; pass real numbers")
    if weights.shape != shape:
        raise ValueError(f"{name}: {describe(weights)} does not match {of} {list(shape)}")
    if device is not None and weights.device != device:
        raise ValueError(
            f"{name}: it is on {weights.device}, the rest on {device}; move one of them"
        )
    _check_weights(name, weights)
    return weights


@torch.compiler.disable  # type: ignore[untyped-decorator]
def _check_weights(name: str, weights: Tensor) -> None:
    wrong = ~((weights >= 0) & (weights <= LARGEST))
    if bool(wrong.any()):
        row = int(wrong.nonzero()[0, 0])
        value = weights[wrong][0].item()
        raise ValueError(f"{name}: {value} at row {row}; weights are in [0, {LARGEST:g}]")
