"""What a class scores before any rule: an inner product, a cosine, or the projection between them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """Which side of the product is normalised, and whether each class adds a bias.

    score_j = <x, w_j> + b_j, with x and w_j replaced by their directions where `unit_*` says so.

    Raises:
        ValueError: a bias beside a normalised side; an angle has none.
    """

    unit_embedding: bool
    unit_weight: bool
    bias: bool = False

    def __post_init__(self) -> None:
        if self.bias and (self.unit_embedding or self.unit_weight):
            raise ValueError("bias: only inner products have one; normalise neither side")


COSINE = Score(unit_embedding=True, unit_weight=True)
"""cos(angle): NormFace and everything after it."""

INNER = Score(unit_embedding=False, unit_weight=False)
"""|x| |w| cos(angle): plain softmax."""

PROJECTION = Score(unit_embedding=True, unit_weight=False)
"""|w| cos(angle); with the feature norm as scale, the inner product seen as an angle: L-Softmax."""
