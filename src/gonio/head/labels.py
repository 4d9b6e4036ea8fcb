"""The labels that people pass, read: one for each sample, several that share it, or probabilities."""

import torch
from torch import Tensor

from gonio.base.arrays import Rows, read_labels, read_weights, tensor_of
from gonio.base.checks import check_labels, describe
from gonio.base.numbers import real_number
from gonio.loss import Loss
from gonio.rules import CLASSES, LogSumExp, Softplus
from gonio.rules.curve import Rule
from gonio.targets import Targets

TOLERANCE = 1e-3
"""By how much the mass of a sample may differ from 1: half precision rounds a sum of a few numbers."""


def read_targets(
    labels: Rows,
    label_mass: Rows | None,
    embeddings: Tensor,
    num_classes: int,
    ignore_index: int | None,
) -> Targets:
    """Bring labels into one form. Their range is not looked at.

    Args:
        labels: (batch,) or (batch, 1) integers; (batch, k) integers with `label_mass`; or (batch, classes) floating
            probabilities.
        label_mass: (batch, k), >= 0, rows of sum 1.
        embeddings: (batch, dim), for shape and device.
        num_classes: classes of the head.
        ignore_index: a row in which it has mass is left out, whatever its masses.

    Raises:
        TypeError: labels that are neither integers nor floating.
        ValueError: shapes that do not match, or masses that are not those of a probability.
    """
    labels = read_labels(labels, embeddings, are_several=label_mass is not None)
    if label_mass is not None:
        label_mass = tensor_of("label_mass", label_mass, embeddings.device)
    if labels.is_floating_point():
        if label_mass is not None:
            check_labels(labels, embeddings)
        shape = torch.Size((len(embeddings), num_classes))
        read_weights("labels", labels, shape, "batch and classes", embeddings.device)
        _check_sums("labels", labels)
        width = int((labels > 0).sum(dim=1).max()) if len(labels) else 1
        mass, labels = labels.topk(max(width, 1), dim=1)
        return Targets(_with_mass(labels, mass), mass)
    if labels.ndim != 2:
        if label_mass is not None:
            raise ValueError(
                f"label_mass: got {describe(label_mass)} beside labels {describe(labels)}; give "
                "labels [batch, k], k for each row"
            )
        return Targets(labels.long()[:, None])
    if labels.shape[1] == 0:
        raise ValueError(f"labels: {describe(labels)} has no label for a row; give at least one")
    check_labels(labels[:, 0], embeddings)
    if label_mass is None:
        raise ValueError(
            f"labels: {describe(labels)} has several labels for a row; say by label_mass, of the same "
            "shape, how much of each; one-hot labels are given as floating point numbers"
        )
    labels = labels.long()
    if ignore_index is not None:
        is_out = ((labels == ignore_index) & (label_mass != 0)).any(dim=1, keepdim=True)
        labels = labels.masked_fill(is_out, ignore_index)
        label_mass = label_mass.masked_fill(is_out, 1 / labels.shape[1])
    read_weights("label_mass", label_mass, labels.shape, "labels", embeddings.device)
    _check_sums("label_mass", label_mass)
    return Targets(_with_mass(labels, label_mass), label_mass)


def _with_mass(labels: Tensor, mass: Tensor) -> Tensor:
    """The labels, with the heaviest of the row in the place of each that has no mass."""
    if len(labels) == 0:
        return labels
    return labels.where(mass > 0, labels.gather(1, mass.argmax(dim=1, keepdim=True)))


@torch.compiler.disable  # type: ignore[untyped-decorator]
def _check_sums(name: str, mass: Tensor) -> None:
    total = mass.double().sum(dim=1)
    wrong = (total - 1).abs() > TOLERANCE
    if bool(wrong.any()):
        row = int(wrong.nonzero()[0])
        raise ValueError(
            f"{name}: the sum is {total[row].item():.6g} at row {row}; the numbers of a row are shares "
            "of one sample and add up to 1"
        )


def check_smoothing(smoothing: float, loss: Loss) -> float:
    """The share that is spread; refused where a loss has no meaning for it.

    Raises:
        TypeError: no number.
        ValueError: a share outside [0, 1), or a loss that is no cross-entropy over all classes.
    """
    share = real_number("label_smoothing", smoothing)
    if not 0 <= share < 1:
        raise ValueError(f"label_smoothing: {smoothing} is out of range [0, 1)")
    is_entropy = loss.pool == LogSumExp() and loss.penalty == Softplus()
    if smoothing and not (is_entropy and loss.pairing == CLASSES):
        raise ValueError(
            f"label_smoothing: got {smoothing}, but it is defined for a cross-entropy over class weights, "
            f"and this loss {_form(loss)}; leave it at 0"
        )
    if smoothing and isinstance(loss.negative, Rule) and loss.negative.leaves_out:
        raise ValueError(
            f"label_smoothing: {smoothing} would spread mass over classes that {loss.negative} leaves "
            "out; leave it at 0, or take the mode 'zero'"
        )
    return share


def check_several_labels(loss: Loss) -> None:
    """Refuse several labels for a sample where a loss has no meaning for them.

    Raises:
        ValueError: a loss that does not compare one own class with a (smooth) maximum of the others.
    """
    if not (loss.pairing == CLASSES and isinstance(loss.pool, LogSumExp)):
        raise ValueError(
            "labels: several for a sample are defined for losses over class weights that pool by a "
            f"(smooth) maximum, and this loss {_form(loss)}; give one label for each row"
        )


def _form(loss: Loss) -> str:
    if loss.pairing != CLASSES:
        return "compares the samples of a batch with each other"
    return f"pools by {loss.pool} and pays by {loss.penalty}"
