"""Running statistics of training, kept by the head as buffers and the same on every rank."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from gonio.rules import pool
from gonio.rules.curve import AsIs
from gonio.rules.facts import AtLabels, Change, Embedded, Facts, Memory
from gonio.rules.gradient import NamesItsGradient
from gonio.rules.quantity import Quantity
from gonio.rules.ranges import AtLeastOne, AtLeastZero, Positive, Share
from gonio.rules.reading import Checked
from gonio.rules.scale import Fixed
from gonio.rules.state import Sizes, State, Statistic


@dataclass(frozen=True)
class RunningCosine(Checked, Quantity, Statistic):
    """The running mean of the own cosine over the training batches: how far training has come.

        level <- momentum level + (1 - momentum) mean cos t_y,   from 0

    Args:
        momentum: share of the old value, in [0, 1].

    Raises:
        ValueError: a momentum outside its range.

    Source: Huang et al., "CurricularFace", CVPR 2020, and its authors' code.
    """

    momentum: Share[float] = 0.99

    def typical(self) -> float:
        """Where it begins."""
        return 0.0

    def states(self, sizes: Sizes) -> Mapping[str, State]:
        """`level`."""
        return {"level": State((), 0.0)}

    def update(self, facts: Facts) -> Mapping[str, Change]:
        """Take in a batch."""
        mean = facts.cosine.mean()
        return {"level": self.momentum * facts.memory.read("level") + (1 - self.momentum) * mean}

    def __call__(self, facts: Facts) -> Tensor:
        return facts.memory.read("level")


@dataclass(frozen=True)
class NormQuality(Checked, Quantity, Statistic, NamesItsGradient):
    """The quality of a sample: its norm against the running mean and spread of all norms.

        q = h (a - mean) / (std + 0.001), cut to [-1, 1];   a the norm, cut to [0.001, 100]
        mean <- momentum mean + (1 - momentum) batch mean,   std likewise,   from 20 and 100

    A batch of one sample has no spread and leaves both as they are.

    Args:
        concentration: h > 0.
        momentum: share of the old value, in [0, 1].
        gradient: "detached" takes q as a constant, as the paper does; "exact" lets the loss change
            the norm.

    Raises:
        ValueError: a number outside its range.

    Source: Kim et al., "AdaFace", CVPR 2022, eq. (9) and its public code.
    """

    concentration: Positive[float] = 0.333
    momentum: Share[float] = 0.99
    gradient: Literal["exact", "detached"] = "detached"

    def typical(self) -> float:
        """A sample like all others."""
        return 0.0

    def extremes(self) -> tuple[float, float]:
        """It is cut to this."""
        return -1.0, 1.0

    def states(self, sizes: Sizes) -> Mapping[str, State]:
        """`norm_mean` and `norm_std`."""
        return {"norm_mean": State((), 20.0), "norm_std": State((), 100.0)}

    def update(self, facts: Facts) -> Mapping[str, Change]:
        """Take in a batch."""
        norms = facts.norm.clamp(0.001, 100)
        if len(norms) < 2:
            return {}
        seen = {"norm_mean": norms.mean(), "norm_std": norms.std()}
        return {
            name: self.momentum * facts.memory.read(name) + (1 - self.momentum) * value
            for name, value in seen.items()
        }

    def __call__(self, facts: Facts) -> Tensor:
        norm = facts.norm.detach() if self.gradient == "detached" else facts.norm
        norm = norm.clamp(0.001, 100)
        spread = facts.memory.read("norm_std") + 0.001
        return (self.concentration * (norm - facts.memory.read("norm_mean")) / spread).clamp(-1, 1)


@dataclass(frozen=True)
class KthHardest(Checked, Quantity):
    """The cosine of the k-th hardest negative of each sample: a border for `NarrowAngle`.

    Args:
        k: >= 1; with fewer negatives than that all of them are above the border.

    Raises:
        ValueError: k below 1.
    """

    k: AtLeastOne[int]

    def typical(self) -> float:
        """Above every cosine."""
        return 2.0

    def __call__(self, facts: Facts) -> Tensor:
        with torch.no_grad():
            return facts.pool_over_columns(AsIs(), pool.KthLargest(self.k))


@dataclass(frozen=True)
class SpreadMargin(Checked, Quantity, Statistic):
    """A margin for each class from how spread out and how frequent it is, renewed once in a while.

        margin_c = margin w_c,   w_c = g (1 - sigmoid(T (k_c - mean k) / std k)) + (1 - g) f_c
        f_c = (cos(pi n_c / (1.05 max n)) + 1) / 2
        k_c = r (D - r^2) / (1 - r^2),   r = |sum of the unit embeddings of class c| / n_c

    Over `every` training batches the unit embeddings of each class are summed up; then the margins
    are renewed from the sums and the sums begin anew. Until the first renewal w_c = 1. A class that
    was not seen keeps its margin, and takes no part in the mean and the spread of k.

    Args:
        margin: in the unit of the rule that it is given to, >= 0.
        temperature: T >= 0.
        balance: g in [0, 1]: 1 looks at the spread alone, 0 at the frequency alone.
        every: training batches between two renewals, >= 1.

    Raises:
        ValueError: a number outside its range, or counts that are not known.

    Source: Oinar et al., "KappaFace: adaptive additive angular margin loss for deep face
    recognition", IEEE Access 2023, with the constants of public code.
    """

    margin: AtLeastZero[float] = 0.62
    temperature: AtLeastZero[float] = 0.55
    balance: Share[float] = 0.7
    every: AtLeastOne[int] = 1000

    def typical(self) -> float:
        """The margin."""
        return self.margin

    def extremes(self) -> tuple[float, float]:
        """From 0 to the margin."""
        return 0.0, self.margin

    @property
    def reads_step(self) -> bool:
        """Margins are renewed by it."""
        return True

    def states(self, sizes: Sizes) -> Mapping[str, State]:
        """`margins`, `frequency_weight`, and the sums `embedding_sums`, `seen`."""
        counts = sizes.known_counts("KappaFace").double()
        frequency = ((math.pi * counts / (1.05 * counts.max().clamp(min=1))).cos() + 1) / 2
        classes = (sizes.num_classes,)
        return {
            "margins": State(classes, self.margin),
            "frequency_weight": State(classes, frequency),
            "embedding_sums": State((*classes, sizes.embedding_dim), 0.0),
            "seen": State(classes, 0.0),
        }

    def update(self, facts: Facts) -> Mapping[str, Change]:
        """Take in a batch, and renew the margins where it is time."""
        labels, old = facts.labels, facts.memory.read("seen")
        added: dict[str, Change] = {
            "embedding_sums": AtLabels(labels, facts.x.to(old.dtype)),
            "seen": AtLabels(labels, torch.ones_like(labels, dtype=old.dtype)),
        }
        if (facts.memory.step + 1) % self.every:
            return added
        memory = facts.memory.after(added)
        sums, seen = memory.read("embedding_sums"), memory.read("seen")
        return {
            "margins": self._margins(sums, seen, memory),
            "embedding_sums": torch.zeros_like(sums),
            "seen": torch.zeros_like(seen),
        }

    def _margins(self, sums: Tensor, seen: Tensor, memory: Memory) -> Tensor:
        is_seen = seen > 0
        r = torch.linalg.vector_norm(sums[is_seen].double(), dim=1) / seen[is_seen]
        r = r.clamp(max=1 - 1e-6)  # a class seen once, or whose embeddings are all the same
        kappa = r * (sums.shape[1] - r**2) / (1 - r**2)
        num = memory.classes.total(kappa.new_tensor(len(kappa)))
        away = kappa - memory.classes.total(kappa.sum()) / num
        spread = (memory.classes.total((away * away).sum()) / num).sqrt()
        standard = away / spread.where(spread > 0, 1)
        concentrated = 1 - (self.temperature * standard).sigmoid()
        frequency = memory.read("frequency_weight")[is_seen]
        weight = self.balance * concentrated + (1 - self.balance) * frequency
        return memory.read("margins").masked_scatter(is_seen, (self.margin * weight).to(seen.dtype))

    def __call__(self, facts: Facts) -> Tensor:
        return facts.kept("margins")


@dataclass(frozen=True)
class AdaCosScale(Checked, Statistic):
    """A scale that follows training, so that a sample at the median angle is half right.

        s <- log(mean_i sum_{j != y} e^{s c_ij}) / cos(min(median t_y, pi / 4)),   from sqrt(2) log(C - 1)

    Each training batch sets it anew, by one more sweep over the classes at the old scale. It is at
    least 1.

    Args:
        mode: "dynamic", or "fixed" at where it begins.

    Source: Zhang et al., "AdaCos", CVPR 2019, eqs. (12) and (15).
    """

    mode: Literal["dynamic", "fixed"] = "dynamic"

    def bind(self, num_classes: int, best_target: float) -> "AdaCosScale | Fixed":
        """The number, where it is fixed."""
        return self if self.mode == "dynamic" else Fixed(self.start(num_classes))

    @staticmethod
    def start(num_classes: int) -> float:
        """sqrt(2) log(C - 1), at least 1."""
        return max(1.0, math.sqrt(2) * math.log(max(num_classes - 1, 1)))

    def states(self, sizes: Sizes) -> Mapping[str, State]:
        """`scale`."""
        return {"scale": State((), self.start(sizes.num_classes))}

    def update(self, facts: Facts) -> Mapping[str, Change]:
        """Take in a batch."""
        old = float(facts.memory.read("scale"))
        others = facts.pool_over_columns(AsIs(), pool.LogSumExp(), scale=old)
        others = others[others.isfinite()]
        if len(others) == 0:  # a single class
            return {}
        median = facts.angle.quantile(0.5)
        log_mean = others.logsumexp(dim=0) - math.log(len(others))
        return {"scale": (log_mean / median.clamp(max=math.pi / 4).cos()).clamp(min=1)}

    def __call__(self, embedded: Embedded, memory: Memory) -> Tensor:
        return memory.read("scale").to(embedded.embeddings.dtype).expand(len(embedded))
