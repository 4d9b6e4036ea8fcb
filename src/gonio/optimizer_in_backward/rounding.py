"""Half precision that does not stall: rounded at random, a small step is taken now and then in full."""

import torch
from torch import Tensor


class Rounding:
    """Rounds up or down at random, so that it is right on average; the same at the same step.

        P(up) = (number - down) / (up - down),   down <= number < up neighbours in half precision

    Rounded to the nearest, a step below half a unit of the last place (1/512 of a bfloat16) is none, however
    many follow.

    Args:
        step: of the head; seeds the draws.
        device: of the numbers.

    Source: Gupta et al., "Deep learning with limited numerical precision", ICML 2015.
    """

    def __init__(self, step: int, device: torch.device) -> None:
        self._random = torch.Generator(device).manual_seed(step)

    def __call__(self, number: Tensor, dtype: torch.dtype) -> Tensor:
        """Floating numbers -> the same in `dtype`, at random where that is half precision."""
        nearest = number.to(dtype)
        if torch.finfo(dtype).bits != 16 or number.dtype == dtype:
            return nearest
        bits = nearest.view(torch.int16)  # of equal sign, numbers are ordered as their bits are
        missing = number - nearest.to(number.dtype)
        is_outwards = (missing > 0) == (bits >= 0)
        other = torch.where(is_outwards, bits + 1, bits - 1).view(dtype)
        share = missing / (other.to(number.dtype) - nearest.to(number.dtype))
        draw = torch.rand(
            number.shape, dtype=number.dtype, device=number.device, generator=self._random
        )
        return torch.where(draw < share, other, nearest)
