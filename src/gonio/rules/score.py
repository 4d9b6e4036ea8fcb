"""What a class scores before any rule: an inner product, a cosine, or the best of several centres."""

from dataclasses import dataclass

from torch import Tensor

from gonio.rules.ranges import AtLeastOne, AtLeastZero
from gonio.rules.reading import Checked


@dataclass(frozen=True)
class Score(Checked):
    """Which side of the product is normalised, and how many centres a class has.

    score_j = <x, w_j>, with x and w_j replaced by their directions where `unit_*` says so. With
    several centres a class has weights (centers, dim), and its score is

        max_k <x, w_jk>                                              temperature 0
        sum_k softmax_k(<x, w_jk> / T) <x, w_jk>                     temperature T > 0

    Args:
        unit_embedding: whether x is normalised.
        unit_weight: whether w_j is.
        centers: K >= 1, weights of each class.
        temperature: T >= 0, how far the centres are mixed.

    Raises:
        ValueError: a number outside its range.
    """

    unit_embedding: bool
    unit_weight: bool
    centers: AtLeastOne[int] = 1
    temperature: AtLeastZero[float] = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.centers > 1 and not (self.unit_embedding and self.unit_weight):
            raise ValueError("centers: several are defined for cosines; normalise both sides")

    def of_centers(self, products: Tensor) -> Tensor:
        """(..., centers) products with each centre -> (...) scores of the classes."""
        if self.temperature == 0:
            return products.amax(dim=-1)
        return ((products / self.temperature).softmax(dim=-1) * products).sum(dim=-1)

    def weight_shape(self, num_classes: int, embedding_dim: int) -> tuple[int, ...]:
        """Of the class weights: (classes, dim), or (classes, centers, dim)."""
        middle = () if self.centers == 1 else (self.centers,)
        return num_classes, *middle, embedding_dim


COSINE = Score(unit_embedding=True, unit_weight=True)
"""cos(angle): NormFace and everything after it."""

INNER = Score(unit_embedding=False, unit_weight=False)
"""|x| |w| cos(angle): plain softmax."""

PROJECTION = Score(unit_embedding=True, unit_weight=False)
"""|w| cos(angle); with the feature norm as scale, the inner product seen as an angle: L-Softmax."""
