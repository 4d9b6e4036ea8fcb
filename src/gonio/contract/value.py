"""Is the value right: against the formula, and along the angle to the own class."""

import math
from dataclasses import replace

import torch

from gonio.contract.batch import Batch
from gonio.contract.subject import Subject
from gonio.contract.verdict import Verdict, at_most, not_applicable

NO_WEIGHT = "it has no class weights"
DEGREES = 2
"""Between two angles at which the loss is asked for."""
ROUNDING = 1e-9
"""Of a loss in float64 whose scores go up to a hundred, where an arccosine has lost some digits."""


def equals_its_formula(subject: Subject, batch: Batch) -> Verdict:
    """Value, sample by sample, against the row of ours that the loss says it is."""
    if subject.claim is None:
        return not_applicable("it names no formula; --as NAME compares it with a loss of the table")
    measure = Subject.mean if subject.meets else Subject.losses
    found, expected = measure(subject, batch), measure(subject.claim, batch)
    errors = ((found - expected).abs() / (1 + expected.abs())).nan_to_num(math.inf)
    worst = int(errors.argmax())
    return at_most(
        1e-6,
        float(errors.max()),
        f"largest error against {subject.claim.name}, relative to 1 + loss",
        batch if subject.meets else batch.rows(worst),
    )


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
    fall = -losses.diff() / (1 + losses[:-1].abs())
    worst = int(fall.nan_to_num(math.inf).argmax())
    at = f", at {worst * DEGREES}° to {(worst + 1) * DEGREES}°" if fall[worst] > ROUNDING else ""
    return at_most(
        ROUNDING,
        max(0.0, float(fall[worst])),
        f"largest fall of the loss in {DEGREES}° away from the own class, relative to 1 + loss{at}",
        turned.rows(worst, worst + 1),
    )
