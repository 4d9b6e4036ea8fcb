"""How many digits a loss really computes with, whatever the dtype of what it is given."""

import copy

import torch
from torch import Tensor, nn

from gonio.contract.batch import Batch
from gonio.contract.subject import Subject, call

STRIDES = (1e-6, 1e-4, 1e-2)
"""Between points on a line; the next is taken where the loss rounds all points to one number."""
DIRECTIONS = 3


def rounding(subject: Subject, batch: Batch) -> float:
    """The noise in the value of a batch, relative to 1 + value: 1e-16 in float64, 1e-7 in float32.

    Fourth differences along a line take away all that is smooth and leave rounding, which they
    enlarge by sqrt(70).

    Source: More and Wild 2011, Estimating computational noise, section 3.
    """
    return noise(subject.at(batch), batch)


@torch.no_grad()
def noise(module: nn.Module, batch: Batch) -> float:
    """`rounding` of a module that was not called before; it is left so."""
    generator = torch.Generator().manual_seed(0)
    squares = []
    for _ in range(DIRECTIONS):
        way = torch.randn(batch.embeddings.shape, generator=generator, dtype=torch.float64)
        values = _line(module, batch, way)
        fourth = values.diff(n=4) / (1 + values[0].abs()) / 70**0.5
        squares.append(fourth.square().mean())
    found = torch.stack(squares).mean().sqrt().nan_to_num(0.0, posinf=0.0)
    return max(float(found), torch.finfo(torch.float64).eps)


def _line(module: nn.Module, batch: Batch, way: Tensor) -> Tensor:
    """(9,): the loss along a line."""
    for stride in STRIDES:
        values = torch.stack(
            [
                call(copy.deepcopy(module), batch.embeddings + k * stride * way, batch.labels).sum()
                for k in range(9)
            ]
        ).double()
        if (values != values[0]).any():
            break
    return values
