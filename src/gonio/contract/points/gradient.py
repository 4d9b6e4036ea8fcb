"""Is the gradient right: the derivative, and the same each time it is asked for."""

import copy
import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from gonio.contract.batch import Batch
from gonio.contract.digits import noise
from gonio.contract.points.value import NO_WEIGHT
from gonio.contract.subject import Subject, call, evaluate
from gonio.contract.verdict import Verdict, at_most, not_applicable, worst_of

LARGEST_TOLERANCE = 0.1
"""With fewer digits than this needs, differences say nothing."""
ANGLES = (1e-6, 1e-4, 1e-2, math.pi - 1e-2, math.pi - 1e-4, math.pi - 1e-6)


def is_the_derivative(subject: Subject, batch: Batch) -> Verdict:
    """Gradient in every embedding and all that learns, against central differences."""
    module = subject.at(batch)
    gradients = evaluate(copy.deepcopy(module), batch).gradients
    differences = Differences.of(module, batch)
    if differences.tolerance > LARGEST_TOLERANCE:
        return not_applicable("it computes with too few digits to be differentiated by differences")
    learned = {"embeddings": differences.embeddings} | dict(module.named_parameters())
    worst, error = worst_of(
        {name: differences.errors(one, gradients[name]) for name, one in learned.items()}
    )
    what = f"largest error of the gradient ({worst}), relative to the largest slope of its row"
    if subject.is_detached:
        return not_applicable(f"{what}; by design: the gradient is detached", error)
    return at_most(differences.tolerance, error, what, batch)


def is_the_derivative_near_the_poles(subject: Subject, batch: Batch) -> Verdict:
    """On a great circle through the own class, with no dead zone next to it or opposite to it."""
    if subject.layout is None:
        return not_applicable(f"{NO_WEIGHT} to be near to")
    if subject.is_detached:
        return not_applicable("by design: the gradient is detached")
    own = nn.functional.normalize(batch.weight[batch.labels[0], 0], dim=0)
    across = batch.embeddings[0] - (batch.embeddings[0] @ own) * own
    across = nn.functional.normalize(across, dim=0)
    label = batch.labels[:1].expand(subject.fewest)

    def at(angle: float) -> Batch:
        x = 2 * (math.cos(angle) * own + math.sin(angle) * across)
        return replace(batch, embeddings=x.expand(subject.fewest, -1), labels=label)

    rounds = noise(subject.at(at(1.0)), at(1.0))
    errors = {}
    for angle in ANGLES:
        result = subject.run(at(angle))
        way = 2 * (math.cos(angle) * across - math.sin(angle) * own)
        slope = float((result.gradients["embeddings"] @ way).sum())
        away = min(angle, math.pi - angle)
        step = away / 16
        ends = [float(subject.value(at(angle + sign * step))) for sign in (1, -1)]
        expected = (ends[0] - ends[1]) / (2 * step)
        # an arccosine rounds the angle to 1e-16 / angle; any loss rounds its value
        allowed = (1e-3 + 1e-15 / (away * step)) * abs(expected) + 1e-7
        errors[angle] = abs(slope - expected) / (allowed + 32 * rounds * (1 + abs(ends[0])) / step)
    worst = max(errors, key=lambda angle: errors[angle])
    what = f"largest error of the slope, in units of the rounding there, at the angle {worst:.7g}"
    return at_most(1, errors[worst], what, at(worst))


def is_the_same_twice(subject: Subject, batch: Batch) -> Verdict:
    """A second backward through the same graph adds the same gradient again."""
    module = subject.at(batch)
    embeddings = batch.embeddings.to(batch.dtype, copy=True).requires_grad_()
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


@dataclass(frozen=True)
class Differences:
    """Central differences of the summed loss, each value from a copy that was not called before."""

    module: nn.Module
    embeddings: Tensor
    labels: Tensor
    step: float
    tolerance: float
    smallest: float
    """A slope below it drowns in the rounding of the differences."""

    @classmethod
    def of(cls, module: nn.Module, batch: Batch) -> "Differences":
        """With the step and the tolerance that the digits of the loss allow."""
        rounds = noise(module, batch)
        step, tolerance = rounds ** (1 / 3), max(1e-5, 100 * rounds ** (2 / 3))
        plain = cls(module, batch.embeddings.clone(), batch.labels, step, tolerance, 0.0)
        size = rounds * (1 + float(plain.value().abs().nan_to_num(0.0)))
        return replace(plain, smallest=32 * size / step / tolerance)

    @torch.no_grad()
    def value(self) -> Tensor:
        """The loss as it stands."""
        return call(copy.deepcopy(self.module), self.embeddings, self.labels).sum().double()

    def slopes(self, tensor: Tensor, places: Iterable[tuple[int, ...]], step: float) -> Tensor:
        """In some elements of what the loss reads, which is left as it was."""
        found = []
        with torch.no_grad():
            for at in places:
                old = tensor[at].clone()
                ends = []
                for moved in (old + step, old - step):
                    tensor[at] = moved
                    ends.append(self.value())
                tensor[at] = old
                found.append((ends[0] - ends[1]) / (2 * step))
        return torch.stack(found)

    def errors(self, tensor: Tensor, gradient: Tensor) -> Tensor:
        """Of the gradient in every element, relative to the largest slope of its row.

        Where they are large the step is made smaller, which steps over no kink, then larger, which
        rounds less: an error is what no step explains.
        """
        every = list(itertools.product(*map(range, tensor.shape)))
        slopes = self.slopes(tensor, every, self.step).reshape(tensor.shape)
        sizes = slopes.abs().amax(-1, keepdim=True) if tensor.ndim else slopes.abs()
        sizes = sizes.clamp(min=self.smallest).expand_as(slopes)
        errors = (gradient - slopes).abs() / sizes
        for step in (self.step / 8, self.step * 8):
            wrong = [at for at in every if not errors[at] <= self.tolerance]
            if wrong:
                where = tuple(torch.tensor(wrong).T) if tensor.ndim else ()
                again = self.slopes(tensor, wrong, step).reshape(errors[where].shape)
                again = (gradient[where] - again).abs() / sizes[where]
                errors[where] = torch.fmin(errors[where], again)
        return errors
