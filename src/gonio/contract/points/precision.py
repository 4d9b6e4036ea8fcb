"""Embeddings of fewer digits under a weight in float32; a network under autocast gives halves."""

import math

import torch

from gonio.contract.batch import Batch
from gonio.contract.points.value import NO_WEIGHT
from gonio.contract.subject import Subject, evaluate
from gonio.contract.verdict import Verdict, at_most, failed, not_applicable, worst_of

HALVES = (torch.bfloat16, torch.float16)
SINGLE = 1e-4
"""What computing in float32 costs, with room: it rounds scores of up to 64 to 4e-6."""


def keeps_its_digits_in_float32(subject: Subject, batch: Batch) -> Verdict:
    """Loss and gradients in float32, against float64 on the same rounded numbers."""
    return _keeps_its_digits(subject, batch, torch.float32)


def keeps_its_digits_in_bfloat16(subject: Subject, batch: Batch) -> Verdict:
    """Loss and gradient of bfloat16 embeddings, against float64 on the same rounded numbers."""
    return _keeps_its_digits(subject, batch, torch.bfloat16)


def keeps_its_digits_in_float16(subject: Subject, batch: Batch) -> Verdict:
    """Loss and gradient of float16 embeddings, against float64 on the same rounded numbers."""
    return _keeps_its_digits(subject, batch, torch.float16)


def leaves_the_weight_its_dtype(subject: Subject, batch: Batch) -> Verdict:
    """The dtype of every parameter is the same after a batch of another dtype."""
    if subject.layout is None:
        return not_applicable(NO_WEIGHT)
    changed, refused = {}, 0
    for dtype in HALVES:
        one = batch.to(dtype)
        module = subject.at(one)
        before = {name: parameter.dtype for name, parameter in module.named_parameters()}
        try:
            evaluate(module, one)
        except RuntimeError:
            refused += 1
        for name, parameter in module.named_parameters():
            if parameter.dtype != before[name]:
                changed[f"{name} {before[name]} -> {parameter.dtype}".replace("torch.", "")] = one
    if refused == len(HALVES):
        return not_applicable("it takes no half-precision embeddings")
    what = ", ".join(["parameters whose dtype a half-precision batch changes", *changed])
    return at_most(0, len(changed), what, next(iter(changed.values()), None))


def _keeps_its_digits(subject: Subject, batch: Batch, dtype: torch.dtype) -> Verdict:
    half = batch.to(dtype)
    try:
        found = subject.run(half)
    except Exception as error:
        return failed(error, half)
    truth = (subject.reference or subject).run(half.to(torch.float64)).named()
    loss = truth["loss"]
    errors = {
        name: (value - truth[name]).abs()
        / (1 + (loss.abs() if name == "loss" else truth[name].abs().amax()))
        for name, value in found.named().items()
    }
    # the gradient of the embeddings is rounded to their dtype
    eps = 2 * torch.finfo(dtype).eps if dtype in HALVES else SINGLE
    allowed = dict.fromkeys(errors, SINGLE) | {"gradient of embeddings": eps}
    share, _ = worst_of({name: error / allowed[name] for name, error in errors.items()})
    number = float(errors[share].amax().nan_to_num(math.inf))
    return at_most(allowed[share], number, f"largest relative error ({share})", half)
