"""A batch on its way into the equation: checked, without what is ignored, gathered from all processes."""

import warnings
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gonio.columns.batch import partners
from gonio.ranks import Ranks
from gonio.targets import Targets


@dataclass(frozen=True)
class Batch:
    """The rows that count.

    Args:
        embeddings: (rows, dim), in the dtype to compute in.
        targets: the labels.
        weight: (rows,) weights of the samples; None where all count the same.
        rows: (rows,) which of the given rows these are; None for all.
        size: how many rows were given.
        counts: of how many of these rows each process has, where they were gathered.
    """

    embeddings: Tensor
    targets: Targets
    weight: Tensor | None
    rows: Tensor | None
    size: int
    counts: tuple[int, ...] = ()

    def gathered(self, ranks: Ranks) -> "Batch":
        """Those of all processes, in their order; see `gonio.ranks`."""
        if ranks.size == 1:
            return self
        counts = ranks.counts(len(self.embeddings))
        targets = self.targets
        width = max(ranks.counts(targets.labels.shape[1]))
        missing = (0, width - targets.labels.shape[1])
        labels = torch.nn.functional.pad(targets.labels, missing)
        targets = targets._replace(labels=ranks.collect(labels, counts))
        if targets.mass is not None:
            mass = torch.nn.functional.pad(targets.mass, missing)
            targets = targets._replace(mass=ranks.collect(mass, counts))
        weight = self.weight if self.weight is None else ranks.collect(self.weight, counts)
        return replace(
            self,
            embeddings=ranks.gather(self.embeddings, counts),
            targets=targets,
            weight=weight,
            counts=tuple(counts),
        )

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def in_pairs(self, *, warn: bool) -> "Batch":
        """Each sample with the others of its label; one without counts nothing."""
        labels = self.targets.labels[:, 0]
        places, mass = partners(labels, self.embeddings.dtype)
        has_partner = places[:, 0] >= 0
        if warn and len(labels) and not bool(has_partner.any()):
            warnings.warn(
                f"labels: no two of the {len(labels)} samples share one, so this batch teaches nothing; "
                "draw several samples of each identity into a batch",
                stacklevel=2,
            )
        weight = has_partner.to(self.embeddings.dtype)
        return replace(
            self,
            targets=Targets(places, mass, classes=labels),
            weight=weight if self.weight is None else weight * self.weight,
        )
