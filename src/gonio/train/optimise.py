"""The optimizer over backbone and head, and its learning rate as a function of the step."""

import math

from torch import nn
from torch.optim import SGD

from gonio.train.config import OptimiseConfig


def build_optimizer(model: nn.Module, config: OptimiseConfig) -> SGD:
    """One optimizer for all parameters; biases, norms and a learned scale are not decayed."""
    parameters = list(model.parameters())
    return SGD(
        [
            {
                "params": [one for one in parameters if one.ndim >= 2],
                "weight_decay": config.weight_decay,
            },
            {"params": [one for one in parameters if one.ndim < 2], "weight_decay": 0.0},
        ],
        lr=config.lr,
        momentum=config.momentum,
    )


def learning_rate(step: int, steps: int, config: OptimiseConfig) -> float:
    """The learning rate of a step, counted from 0, of a run of `steps` steps.

    It rises linearly to `lr` during the warm-up, then falls to 0 along a half cosine:

        lr (step + 1) / w                                       while step < w = warmup * steps
        lr (1 + cos(pi (step - w) / (steps - w))) / 2           after that
    """
    warmup = config.warmup * steps
    if step < warmup:
        return config.lr * min((step + 1) / warmup, 1.0)
    return config.lr * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2
