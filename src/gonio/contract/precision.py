"""Half-precision embeddings under a weight in float32, as a network under autocast gives them."""

import math

import torch

from gonio.contract.batch import Batch
from gonio.contract.subject import Subject, evaluate
from gonio.contract.value import NO_WEIGHT
from gonio.contract.verdict import Verdict, at_most, failed, not_applicable

HALVES = (torch.bfloat16, torch.float16)
SINGLE = 1e-4
"""What computing in float32 costs, with room: it rounds scores of up to 64 to 4e-6."""


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
    truth = subject.run(half.to(torch.float64))
    errors = {"loss": (found.value.double() - truth.value).abs() / (1 + truth.value.abs())}
    for name, gradient in truth.gradients.items():
        difference = (found.gradients[name].double() - gradient).abs()
        errors[f"gradient of {name}"] = difference / (1 + gradient.abs().amax())
    allowed = dict.fromkeys(errors, SINGLE) | {
        "gradient of embeddings": 2 * torch.finfo(dtype).eps  # rounded to their dtype
    }
    sizes = {name: float(one.amax().nan_to_num(math.inf)) for name, one in errors.items()}
    worst = max(sizes, key=lambda name: sizes[name] / allowed[name])
    return at_most(allowed[worst], sizes[worst], f"largest relative error ({worst})", half)
