"""The matrix products of a batch with a tile of the weight's rows, there and back.

Directions of the weight are never stored. 1 / |w_j| multiplies a column of the product; in backward, the
projection on the tangent that normalisation amounts to is the last step of a tile of the gradient. With
p_ij = <x_i, w_j>, c_ij = p_ij / |w_j|, and e_ij the gradient in p_ij:

    dx_i = sum_j e_ij w_j
    dw_j = sum_i e_ij x_i  -  (sum_i e_ij c_ij) w_j / |w_j|
"""

from typing import Literal

import torch
from torch import Tensor

Precision = Literal["fp32", "bf16"]
"""What the products are computed in. "bf16" rounds their operands and their result to 8 bits; the sums
within a product, over tiles and over classes are not rounded to it. "fp32" is the dtype of the embeddings
themselves, float64 for float64."""


class Products:
    """(batch, dim) embeddings against tiles of a weight.

    A (batch, tile) matrix is laid out with the batch innermost, so that a tile of it is one block.

    Args:
        x: (batch, dim).
        weight: (rows, dim), in any floating dtype.
        inverse: (rows,) inverse norms of the weight's rows, None where they are not normalised.
        precision: of the products.
    """

    def __init__(
        self, x: Tensor, weight: Tensor, inverse: Tensor | None, precision: Precision
    ) -> None:
        self.x, self.weight, self.inverse = x, weight, inverse
        self._directions = x.new_empty(0)  # of one tile, overwritten by the next
        self.operand = (x.bfloat16() if precision == "bf16" else x).contiguous()

    def forward(self, rows: slice, out: Tensor | None = None) -> Tensor:
        """(tile, batch) products, written to `out` where it is given."""
        return torch.mm(self.weight[rows].to(self.operand.dtype), self.operand.T, out=out)

    def pull(
        self,
        push: Tensor,
        radial: Tensor | None,
        rows: slice,
        dx: Tensor | None,
        dw: Tensor | None,
    ) -> None:
        """Back from the gradient in the products of a tile.

        Args:
            push: (batch, tile), that gradient: the e_ij.
            radial: (tile,), sum_i e_ij c_ij; None where the weight is not normalised.
            rows: of the tile.
            dx: (batch, dim) in the dtype of x, to be added to; None if nobody asked for it.
            dw: (tile, dim) in the dtype of x, to be written; None likewise.
        """
        weight = self.weight[rows]
        if dx is not None and push.dtype == dx.dtype:
            dx.addmm_(push, weight.to(dx.dtype))
        elif dx is not None:
            dx += push @ weight.to(push.dtype)
        if dw is None:
            return
        if push.dtype == dw.dtype:
            torch.mm(push.T, self.operand, out=dw)
        else:
            dw.copy_(push.T @ self.operand)
        if self.inverse is not None and radial is not None:
            directions = torch.mul(weight, self.inverse[rows, None], out=self._room(weight))
            dw.addcmul_(directions, radial[:, None], value=-1)

    def _room(self, like: Tensor) -> Tensor:
        if len(self._directions) < len(like):
            self._directions = self.x.new_empty(like.shape)
        return self._directions[: len(like)]
