"""A plain function as a module that holds its weight."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from gonio.contract.batch import Sizes
from gonio.contract.signature import LABELS, WEIGHT

MakeFunction = Callable[[Sizes], Callable[..., Tensor]]


class Function(nn.Module):
    """A function called as a module.

    Args:
        function: of embeddings, labels and perhaps the weight.
        order: which of the three its arguments are.
        shape: of the weight; None where it takes none.
    """

    def __init__(
        self,
        function: Callable[..., Tensor],
        order: Sequence[str],
        shape: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.function, self.order = function, order
        self.weight = None if shape is None else nn.Parameter(torch.zeros(shape))

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Call it."""
        given = {"embeddings": embeddings, "weight": self.weight, "labels": labels}
        return self.function(*(given[name] for name in self.order))


def order_of(parameters: Sequence[str]) -> Sequence[str]:
    """What two or three parameters are, by their names; as the list says where those tell nothing."""
    if len(parameters) == 2:
        return ("embeddings", "labels")
    found = [
        "weight" if name in WEIGHT else "labels" if name in LABELS else "embeddings"
        for name in map(str.lower, parameters)
    ]
    whole = ["embeddings", "weight", "labels"]
    return found if sorted(found) == sorted(whole) else whole
