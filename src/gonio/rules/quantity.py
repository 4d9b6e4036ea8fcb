"""Quantities: settings of a rule that differ from sample to sample, such as a margin by class.

A setting is a number, a schedule of the training step, or a quantity of the batch. A quantity is
computed once for each batch, outside every backend, and put in the place of the setting.
"""

from abc import abstractmethod

from torch import Tensor

from gonio.rules.facts import Facts
from gonio.rules.ranges import Varying


class Quantity(Varying):
    """A number for each sample of a batch; subclasses are frozen dataclasses."""

    example = "gonio.PerClass"

    @abstractmethod
    def __call__(self, facts: Facts) -> Tensor:
        """(rows,), or () for a number that all samples share."""

    @abstractmethod
    def typical(self) -> float:
        """The number that stands for it where there is no batch, as in a picture."""

    def extremes(self) -> tuple[float, float]:
        """The smallest and the largest number to expect."""
        return self.typical(), self.typical()
