"""Draws without a state of their own: a generator for each step, from a seed and the number of the step."""

import torch

SPREAD = 6_364_136_223_846_793_005
"""Between the generators of neighbouring seeds, so that their steps do not meet."""

LONGEST = 2**40
"""More steps than any training has: between the generators of neighbouring ranks."""


def generator(device: torch.device, seed: int, step: int, rank: int = 0) -> torch.Generator:
    """The same for the same numbers."""
    return torch.Generator(device).manual_seed((seed * SPREAD + rank * LONGEST + step) % 2**63)
