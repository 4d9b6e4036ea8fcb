"""Is the value right: against the formula, and along the angle to the own class."""

import math
from dataclasses import replace

import torch

from gonio.contract.batch import Batch
from gonio.contract.digits import rounding
from gonio.contract.subject import Subject
from gonio.contract.verdict import Verdict, at_most, not_applicable

NO_WEIGHT = "it has no class weights"
DEGREES = 2
"""Between two angles at which the loss is asked for."""
ASIDE = 1e-4
"""Of the poles: an arccosine loses half of its digits there, and a clamped one has a dead zone."""


def equals_its_formula(subject: Subject, batch: Batch) -> Verdict:
    """Value, sample by sample, against the formula that the loss says it is."""
    if subject.claim is None:
        return not_applicable("it names no formula; --as NAME compares it with a loss of the table")
    measure = Subject.mean if subject.meets else Subject.losses
    found, expected = measure(subject, batch), measure(subject.claim, batch)
    errors = ((found - expected).abs() / (1 + expected.abs())).nan_to_num(math.inf)
    worst = int(errors.argmax())
    return at_most(
        max(subject.claimed_to, 64 * rounding(subject, batch)),
        float(errors.max()),
        f"largest error against {subject.claim.name}, relative to 1 + loss",
        batch if subject.meets else batch.rows(worst),
    )


def equals_its_formula_near_the_poles(subject: Subject, batch: Batch) -> Verdict:
    """The same next to the own class and next to its opposite."""
    if subject.layout is None:
        return not_applicable(f"{NO_WEIGHT} to be near to")
    labels = torch.tensor([0, 0, 1, 1]) % batch.sizes.num_classes
    signs = torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64)
    embeddings = signs[:, None] * batch.weight[labels, 0]
    embeddings[:, 0] += ASIDE
    return equals_its_formula(subject, replace(batch, embeddings=embeddings, labels=labels))


def falls_with_the_target_angle(subject: Subject, batch: Batch) -> Verdict:
    """The loss never falls as the angle to the own class grows to pi, all other angles the same."""
    if subject.layout is None:
        return not_applicable(f"{NO_WEIGHT}, so there is no angle to the own class")
    weight = batch.weight.clone()
    weight[:, :, :2] = 0
    weight[0], weight[0, :, 0] = 0, 1
    angles = torch.linspace(0, math.pi, 180 // DEGREES + 1, dtype=torch.float64)
    embeddings = torch.zeros(len(angles), batch.sizes.embedding_dim, dtype=torch.float64)
    embeddings[:, 0], embeddings[:, 1] = angles.cos(), angles.sin()
    turned = replace(
        batch, embeddings=embeddings, labels=torch.zeros(len(angles), dtype=torch.int64)
    )
    turned = replace(turned, weight=weight)
    losses = subject.losses(turned)
    allowed = max(1e-9, 64 * rounding(subject, turned))
    fall = -losses.diff() / (1 + losses[:-1].abs())
    worst = int(fall.nan_to_num(math.inf).argmax())
    at = f", at {worst * DEGREES}° to {(worst + 1) * DEGREES}°" if fall[worst] > allowed else ""
    return at_most(
        allowed,
        max(0.0, float(fall[worst])),
        f"largest fall of the loss in {DEGREES}° away from the own class, relative to 1 + loss{at}",
        turned.rows(worst, worst + 1),
    )
