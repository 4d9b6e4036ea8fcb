"""What the equation asks of an engine, and what an engine may hand on."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from torch import Tensor

from gonio.loss import Loss
from gonio.rules.facts import Sample


class Classes(NamedTuple):
    """What a backend is given of the classes."""

    weight: Tensor
    """(classes, dim) or (classes, centers, dim), not normalised."""
    offset: Tensor | None = None
    """(classes,), added to the scores."""
    labels: Tensor | None = None
    """(classes,) int64: whose each column is; None where class j is column j."""


Negatives = Callable[[Tensor, Classes, Sample, Tensor, Loss], Tensor]
"""`(x, classes, sample, labels, loss) -> (batch,)`: the pool of every sample's negatives.

What a backend is: differentiable in x (batch, dim), in the weight and the offset of `classes`, and in
every field of `sample`. x is already normalised where the loss says so. `labels` is (batch,) or
(batch, k); columns with any of these labels are no negatives of the sample.
"""


class Update(Protocol):
    """Takes the gradient of the class weights piece by piece, so that the whole never exists."""

    def take(self, rows: slice | Tensor, gradient: Tensor) -> None:
        """Rows of the flattened weight, as a range or as ascending indices, and their gradient.

        It is what the negatives add, (rows, dim). Rows that are never taken have none.
        """

    def finish(self, classes: Tensor, gradient: Tensor | None) -> None:
        """(n,) own classes of a batch, after all else, and what they add, (n, ...) as in the weight."""
