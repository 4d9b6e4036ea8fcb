"""Mining: which samples of a batch count, decided by their losses."""

from dataclasses import dataclass
from typing import Annotated, Protocol

import torch
from torch import Tensor

from gonio.rules.ranges import Range
from gonio.rules.reading import Checked


class Mining(Protocol):
    """A frozen dataclass: (batch,) losses -> (batch,) weights of mean 1, taken as constants.

    Weights of samples and of classes come on top.
    """

    def __call__(self, losses: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Everything:
    """Every sample counts the same."""

    def __call__(self, losses: Tensor) -> Tensor:
        return torch.ones_like(losses)


@dataclass(frozen=True)
class Hardest(Checked):
    """Only the samples with the largest losses count; the mean over the batch is their mean.

    Args:
        keep: share of the batch that counts, in (0, 1]; at least one sample does.

    Raises:
        ValueError: a share outside its range.

    Source: Shrivastava et al., "Training region-based object detectors with online hard example
    mining", CVPR 2016; for margins, Wang et al., "Mis-classified vector guided softmax loss", 2020.
    """

    keep: Annotated[float, Range(0, 1, "(]")] = 0.9

    def __call__(self, losses: Tensor) -> Tensor:
        kept = min(len(losses), max(1, int(self.keep * len(losses) + 1e-9)))
        weights = torch.zeros_like(losses)
        return weights.index_fill(0, losses.topk(kept).indices, len(losses) / max(kept, 1))
