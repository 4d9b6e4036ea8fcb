"""Negative rules: what every other class scores.

A negative rule maps `(cosine, sample) -> cosine` elementwise on (batch, tile), with the fields of
`sample` as (batch, 1). All else that it needs reaches it through `sample`, which is why it runs
unchanged on the whole matrix and on any tile of it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from gonio.rules.ranges import at_least_zero

if TYPE_CHECKING:
    from gonio.equation import Sample


@dataclass(frozen=True)
class Excess:
    """By how much a negative exceeds the target: one hinge for each negative.

        excess = max(cosine - target, 0)                                       temperature 0
        excess = (T / scale) log(1 + exp(scale (cosine - target) / T))         temperature T > 0

    Args:
        temperature: T >= 0 in units of the score (scale x cosine).

    Raises:
        ValueError: a negative temperature.
    """

    temperature: float = 0.0

    def __post_init__(self) -> None:
        at_least_zero("temperature", self.temperature)

    def __call__(self, cosine: Tensor, sample: "Sample") -> Tensor:
        gap = cosine - sample.target
        if self.temperature == 0:
            return gap.relu()
        # a feature norm of 0 is a scale of 0
        sharpness = (sample.scale / self.temperature).clamp(min=torch.finfo(gap.dtype).tiny)
        return -F.logsigmoid(-sharpness * gap) / sharpness
