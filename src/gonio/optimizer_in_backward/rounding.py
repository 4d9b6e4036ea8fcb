"""bfloat16 that does not stall: rounded at random, a small step is taken now and then in full."""

import torch
from torch import Tensor


class Rounding:
    """Rounds up or down at random, so that it is right on average; the same at the same step.

        P(up) = (number - down) / (up - down),   down <= number < up neighbours in bfloat16

    Rounded to the nearest, a step below half a unit of the last place, 1/512 of a number, is none, however
    many follow.

    Args:
        step: of the head; seeds the draws.
        device: of the numbers.

    Source: Gupta et al., "Deep learning with limited numerical precision", ICML 2015.
    """

    def __init__(self, step: int, device: torch.device) -> None:
        self._random = torch.Generator(device).manual_seed(step)

    def __call__(self, number: Tensor, dtype: torch.dtype) -> Tensor:
        """Floating numbers -> the same in `dtype`, at random where that is bfloat16."""
        if dtype != torch.bfloat16 or number.dtype == dtype:
            return number.to(dtype)
        # of a float32, bfloat16 is the upper half; what is added to the lower half carries over, or not
        bits = self._noise(number).add_(number.float().view(torch.int32)).bitwise_right_shift_(16)
        rounded = bits.to(torch.int16).view(dtype)
        return torch.where(number.isfinite(), rounded, number.to(dtype))

    def _noise(self, number: Tensor) -> Tensor:
        """int32 of the same shape, in [0, 2^16): a draw of 64 bits makes four."""
        draws = torch.empty(-(-number.numel() // 4), dtype=torch.int64, device=number.device)
        noise = draws.random_(-(2**63), None, generator=self._random).view(torch.int16)
        return noise[: number.numel()].view(number.shape).to(torch.int32).bitwise_and_(0xFFFF)
