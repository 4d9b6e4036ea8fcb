"""Is the gradient right: the derivative, and the same each time it is asked for."""

import itertools

import torch
from torch import Tensor, nn

from gonio.contract.batch import Batch
from gonio.contract.subject import Subject, call, evaluate
from gonio.contract.verdict import Verdict, at_most, not_applicable

STEP = 1e-6


def is_the_derivative(subject: Subject, batch: Batch) -> Verdict:
    """Gradient in embeddings and all that learns, against central differences in float64."""
    batch = batch.rows(*range(min(6, len(batch.labels))))  # two of each kind, for time
    module = subject.at(batch)
    gradients = evaluate(module, batch).gradients
    learned = {"embeddings": batch.embeddings.clone()} | dict(module.named_parameters())
    errors = {}
    for name, tensor in learned.items():
        slopes = _slopes(module, learned["embeddings"], batch.labels, tensor)
        size = slopes.abs().amax().clamp(min=1e-3)
        errors[name] = float((gradients[name] - slopes).abs().amax() / size)
    worst = max(errors, key=lambda name: errors[name])
    what = f"largest error of the gradient ({worst}), relative to the largest slope"
    if subject.is_detached:
        return not_applicable(f"{what}; by design: the gradient is detached", errors[worst])
    # the step's own error is 1e-12 times a third derivative, which a scale of 64 makes 3e5
    return at_most(1e-4, errors[worst], what, batch)


def is_the_same_twice(subject: Subject, batch: Batch) -> Verdict:
    """A second backward through the same graph adds the same gradient again."""
    module = subject.at(batch)
    embeddings = batch.embeddings.clone().requires_grad_()
    learned = [embeddings, *module.parameters()]
    value = call(module, embeddings, batch.labels).sum()
    first, second = (
        torch.autograd.grad(value, learned, retain_graph=True, materialize_grads=True)
        for _ in range(2)
    )
    error = max(
        float((again - once).abs().amax() / (1 + once.abs().amax()))
        for once, again in zip(first, second, strict=True)
    )
    return at_most(
        1e-12,
        error,
        "largest difference between the two gradients, relative to 1 + gradient",
        batch,
    )


@torch.no_grad()
def _slopes(module: nn.Module, embeddings: Tensor, labels: Tensor, tensor: Tensor) -> Tensor:
    """Central differences of the summed loss in every element of `tensor`, which it reads."""
    slopes = torch.zeros_like(tensor)
    for at in itertools.product(*map(range, tensor.shape)):
        old = tensor[at].clone()
        ends = []
        for value in (old + STEP, old - STEP):
            tensor[at] = value
            ends.append(call(module, embeddings, labels).sum())
        tensor[at] = old
        slopes[at] = (ends[0] - ends[1]) / (2 * STEP)
    return slopes
