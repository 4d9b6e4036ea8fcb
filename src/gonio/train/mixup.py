"""Mixup: each image of a batch blended with another one, and their labels in the same proportion.

Source: Zhang et al., "mixup: beyond empirical risk minimization", ICLR 2018.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gonio.train.config import TrainConfig


class Batch(NamedTuple):
    """What a step learns from."""

    pixels: Tensor
    """(batch, channels, height, width) in [-1, 1]."""
    labels: Tensor
    """(batch,); (batch, 2) where images are mixed."""
    mass: Tensor | None
    """(batch, 2): how much of each label, the larger first; None where images are not mixed."""

    @property
    def own(self) -> Tensor:
        """(batch,): the label that an image is most of."""
        return self.labels if self.mass is None else self.labels[:, 0]


def mixed(pixels: Tensor, labels: Tensor, config: TrainConfig, step: int) -> Batch:
    """The images as `targets.mixup` asks, by draws that are a pure function of seed and step.

    Args:
        pixels: (batch, channels, height, width) in [-1, 1].
        labels: (batch,) int64.
        config: of the run.
        step: counted from 0.
    """
    alpha = config.targets.mixup
    if not alpha:
        return Batch(pixels, labels, None)
    draw = np.random.default_rng(np.random.SeedSequence((config.seed, step), spawn_key=(1,)))
    share = draw.beta(alpha, alpha)
    share = max(share, 1 - share)  # the other half of the draws gives the same pairs, turned around
    partner = torch.from_numpy(draw.permutation(len(pixels))).to(labels.device)
    mass = torch.tensor((share, 1 - share), dtype=torch.float32, device=labels.device)
    return Batch(
        pixels=share * pixels + (1 - share) * pixels[partner],
        labels=torch.stack((labels, labels[partner]), dim=1),
        mass=mass.expand(len(labels), 2),
    )
