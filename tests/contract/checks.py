"""The contract, as functions that raise AssertionError; tests run them on every row, and on canaries."""

import itertools
import math
from dataclasses import replace

import numpy as np
import torch

from contract.cases import Case, losses_and_gradients
from gonio.engines import reference
from gonio.engines.seam import Negatives
from gonio.loss import target_curve
from gonio.rules.facts import Sample


class NotApplicable(Exception):
    """The check asks for what the loss does not claim; the message says what."""


def equals_its_formula(case: Case, backend: Negatives) -> None:
    """Value = the independent formula, in float64, also next to the poles."""
    made = case.batch()
    near, far = made.weight[made.labels[:2], 0]
    aside = 1e-4 * torch.eye(5, dtype=torch.float64)[:2]
    embeddings = torch.cat([made.embeddings[2:], torch.stack([near, -far]) + aside])
    made = replace(made, embeddings=embeddings, labels=made.labels.roll(-2))
    head = made.head(case.loss, backend)
    found = head(made.embeddings, made.labels, reduction="none").detach().numpy()
    # acos in the formula keeps 1e-12 at 1e-4 from a pole, and a scale of 64 multiplies it
    np.testing.assert_allclose(found, case.expected(made), rtol=1e-9, atol=1e-9)


def gradient_is_the_derivative(case: Case, backend: Negatives) -> None:
    """Gradient = finite differences, in embeddings, weight, bias and all else that is learned."""
    if case.loss.is_detached:
        raise NotApplicable("by its name its gradient is not the derivative")
    made = case.batch(seed=1, size=5, classes=8, dim=4)
    head = made.head(case.loss, backend)
    parameters = dict(head.named_parameters())

    def loss(embeddings: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        given = dict(zip(parameters, values, strict=True))
        keywords = {"reduction": "none"}
        return torch.func.functional_call(head, given, (embeddings, made.labels), keywords)

    inputs = [made.embeddings, *parameters.values()]
    inputs = [value.detach().clone().requires_grad_() for value in inputs]
    assert torch.autograd.gradcheck(loss, inputs, atol=1e-5, rtol=1e-4)


def gradient_is_right_near_the_poles(case: Case, backend: Negatives) -> None:
    """On the great circle through the own class: slope = finite differences, with no dead zone."""
    if case.loss.is_detached:
        raise NotApplicable("by its name its gradient is not the derivative")
    if not case.has_weight:
        raise NotApplicable("there is no class weight to be near to")
    made = case.batch(seed=6, size=1, classes=5, dim=4)
    head = made.head(case.loss, backend)
    own = torch.nn.functional.normalize(made.weight[made.labels, 0], dim=1)
    across = made.embeddings - (made.embeddings * own).sum() * own
    across = torch.nn.functional.normalize(across, dim=1)

    def loss(angle: torch.Tensor) -> torch.Tensor:
        return head(2 * (angle.cos() * own + angle.sin() * across), made.labels)

    for angle in (1e-6, 1e-4, 1e-2, math.pi - 1e-2, math.pi - 1e-4, math.pi - 1e-6):
        at = torch.tensor(angle, dtype=torch.float64, requires_grad=True)
        loss(at).backward()
        step = min(angle, math.pi - angle) / 16
        with torch.no_grad():
            slope = (loss(at + step) - loss(at - step)) / (2 * step)
        # rounding of the losses, divided by the step
        noise = 1e-14 / step * (1 + loss(at).item())
        torch.testing.assert_close(at.grad, slope, rtol=1e-3, atol=1e-7 + noise)


def takes_each_negative_for_itself(case: Case, backend: Negatives) -> None:
    """A negative rule sees one cosine and one sample: any tile of the matrix is the same."""
    cosine = torch.rand(6, 9, dtype=torch.float64) * 2 - 1
    facts = Sample(*(torch.rand(6, 1, dtype=torch.float64) + 0.1 for _ in Sample._fields))
    negative = case.loss.typical().negative
    whole = negative(cosine, facts)
    rows, columns = torch.randperm(6)[:4], torch.randperm(9)[:5]
    some = Sample(*(fact[rows] for fact in facts))
    assert torch.equal(negative(cosine[rows][:, columns], some), whole[rows][:, columns])


def agrees_with_the_reference(case: Case, backend: Negatives) -> None:
    """Value and every gradient = the whole matrix under autograd, in float64."""
    for sizes in ((9, 23, 5), (1, 2, 1), (5, 1, 3), (3, 40, 2)):
        made = case.batch(2, *sizes)
        truth = losses_and_gradients(made.head(case.loss, reference), made)
        found = losses_and_gradients(made.head(case.loss, backend), made)
        for name, value in truth.items():
            torch.testing.assert_close(found[name], value, rtol=1e-10, atol=1e-10)


def permutes_with_samples_and_classes(case: Case, backend: Negatives) -> None:
    """The order of samples and the numbering of classes do not matter; samples do not meet."""
    made = case.batch(seed=3)
    losses = losses_and_gradients(made.head(case.loss, backend), made)["loss"]
    samples = torch.randperm(len(losses))
    moved = replace(made, embeddings=made.embeddings[samples], labels=made.labels[samples])
    found = losses_and_gradients(moved.head(case.loss, backend), moved)["loss"]
    torch.testing.assert_close(found, losses[samples], rtol=1e-10, atol=1e-10)
    if case.has_weight:
        classes = torch.randperm(len(made.weight))
        moved = made.renumbered(classes)
        found = losses_and_gradients(moved.head(case.loss, backend), moved)["loss"]
        torch.testing.assert_close(found, losses, rtol=1e-10, atol=1e-10)
    if not case.loss.is_batchwise:
        some = replace(made, embeddings=made.embeddings[:2], labels=made.labels[:2])
        found = losses_and_gradients(some.head(case.loss, backend), some)["loss"]
        torch.testing.assert_close(found, losses[:2], rtol=1e-10, atol=1e-10)


def falls_with_the_target_angle(case: Case, backend: Negatives) -> None:
    """The target never rises with the angle to the own class, up to pi."""
    angle = torch.linspace(0, math.pi, 4001, dtype=torch.float64)
    target = target_curve(case.loss.at(0), angle)
    # rounding of the curve itself
    assert (target.diff() <= 1e-12).all()


def is_finite_everywhere(case: Case, backend: Negatives) -> None:
    """Finite loss and gradients at cos = +-1, zero and extreme norms, in every precision.

    The poles are those of the own class, and of another.
    """
    made = case.batch(seed=4, size=8, classes=6, dim=4)
    factors = torch.tensor([1, -1, 0, 1e-30, -1e-30, 1e30, 1e-4, -3e4], dtype=torch.float64)
    if case.squares_the_norm:
        factors[5] = 1e15
    embeddings = factors[:, None] * made.weight[0, 0]
    precisions = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
    for dtype, label in itertools.product(precisions, (0, 1)):
        held = embeddings.to(dtype)
        held = held[held.isfinite().all(dim=1)]
        labels = torch.full((len(held),), label)
        master = torch.float64 if dtype == torch.float64 else torch.float32
        extreme = replace(made, embeddings=held, labels=labels)
        head = extreme.head(case.loss, backend, master)
        for name, value in losses_and_gradients(head, extreme).items():
            finite = value.isfinite()
            if name == "embeddings" and dtype == torch.float16:
                # 64 / 1e-4 is beyond float16, and so is the gradient of a square: honest overflows,
                # which a gradient scaler must see
                norms = held.abs().amax(dim=1, keepdim=True)
                finite = finite | (norms < 1e-2) | (norms > 1e4)
            assert finite.all(), f"{name} in {dtype}: {value}"
        assert all(one.dtype == master for one in head.parameters())


def keeps_its_digits_in_low_precision(case: Case, backend: Negatives) -> None:
    """float32, and half-precision embeddings under a float32 weight, against float64."""
    made = case.batch(seed=5)
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        # rounded once, so that both sides see the same embeddings
        made = made.to(dtype)
        truth = losses_and_gradients(made.head(case.loss, reference), made.to(torch.float64))
        found = losses_and_gradients(made.head(case.loss, backend, torch.float32), made)
        assert found["embeddings"].dtype == dtype
        for name, value in truth.items():
            # float32 rounds scores of up to 64 to 4e-6, and everything else is proportional to that;
            # the gradient of half-precision embeddings is rounded once more, to their own dtype
            is_rounded_again = name == "embeddings" and dtype != torch.float32
            tolerance = torch.finfo(dtype).eps if is_rounded_again else 2e-5
            error = (found[name].double() - value).abs().amax()
            assert error <= tolerance * (1 + value.abs().amax()), f"{name} in {dtype}: {error}"


CHECKS = [
    equals_its_formula,
    gradient_is_the_derivative,
    gradient_is_right_near_the_poles,
    takes_each_negative_for_itself,
    agrees_with_the_reference,
    permutes_with_samples_and_classes,
    falls_with_the_target_angle,
    is_finite_everywhere,
    keeps_its_digits_in_low_precision,
]
RISES_BY_DESIGN = ("past_pi=raw", "past_pi=easy")
"""Published variants whose target jumps or rises, as `AngularMargin` says."""
