"""The losses that each picture shows where none are chosen: the survey's own."""

from collections.abc import Mapping
from dataclasses import replace

import torch

from gonio import losses
from gonio.base.errors import ConfigError
from gonio.head import Head
from gonio.loss import Loss


def settled(chosen: Mapping[str, Loss]) -> dict[str, Loss]:
    """Label -> loss of a typical sample, once all its schedules have run, without its terms.

    Raises:
        ConfigError: no losses.
    """
    if not chosen:
        raise ConfigError("losses: there are none to draw; name at least one, or leave them out")
    return {label: replace(loss.typical(), terms=()) for label, loss in chosen.items()}


def head(label: str, loss: Loss, embedding_dim: int, num_classes: int) -> Head:
    """A head of float64 over equally frequent classes.

    Raises:
        ConfigError: a loss in which the samples of a batch meet, so that none has a loss of its own.
    """
    if loss.pairing.against != "classes":
        raise ConfigError(
            f"{label}: it compares the samples of a batch with each other, so there are no regions of "
            "classes to draw; take target-curves or smooth-family"
        )
    counts = torch.ones(num_classes)
    return Head(embedding_dim, num_classes, loss, class_counts=counts, dtype=torch.float64)


def margins() -> dict[str, Loss]:
    """Each kind of margin at the size its paper uses, whole: without annealing."""
    return {
        "plain cosine": losses.normface(scale=30),
        "L-Softmax  m = 2": losses.l_softmax(margin=2, annealing=0),
        "SphereFace  m = 4": losses.sphereface(margin=4, annealing=0),
        "CosFace  m = 0.35": losses.cosface(margin=0.35),
        "ArcFace  m = 0.5": losses.arcface(margin=0.5),
        "combined  (1, 0.3, 0.2)": losses.combined(1, 0.3, 0.2),
    }


def scales() -> dict[str, Loss]:
    """No margin, and the survey's scales."""
    return {f"s = {scale}": losses.normface(scale=scale) for scale in (1, 5, 10, 30, 64)}


def margin_sizes() -> dict[str, Loss]:
    """From no margin to a large one, four steps for each kind."""
    multiplied = {f"SphereFace  m = {m}": losses.sphereface(m, annealing=0) for m in (1, 1.5, 2, 4)}
    added_to_cosine = {
        f"CosFace  m = {m}": losses.cosface(m, scale=30) for m in (0, 0.2, 0.35, 0.5)
    }
    added_to_angle = {
        f"ArcFace  m = {m}": losses.arcface(m, scale=30) for m in (0, 0.25, 0.5, 0.75)
    }
    return multiplied | added_to_cosine | added_to_angle


def chain() -> dict[str, Loss]:
    """From the sum of hinges to cross-entropy, and one step between at a temperature."""
    return {
        "sum of hinges": losses.hinge(margin=0, scale=1),
        "hinge of max": losses.max_hinge(margin=0, scale=1),
        "hinge of LSE": losses.lse_hinge(margin=0, scale=1),
        "softplus of LSE, T = ¼": losses.softplus_lse(margin=0, temperature=0.25, scale=1),
        "softplus of LSE = cross-entropy": losses.softplus_lse(margin=0, scale=1),
    }


def softmax() -> dict[str, Loss]:
    """Plain softmax cross-entropy."""
    return {"softmax": losses.softmax()}
