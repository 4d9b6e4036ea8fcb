"""What stands in the place of a gradient that has been applied already."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gonio.base.checks import describe

MEND = "or call head.detach_optimizer()"

APPLIED = (
    "head.weight: its gradient was applied in backward (attach_optimizer) and exists no more, so it "
    "cannot be clipped (clip_grad_norm_), unscaled (GradScaler), added to, stepped with a closure, or "
    f"read; leave head.weight out of that, {MEND}"
)


class Applied(Tensor):
    """Stands for a gradient that has been applied: a shape without numbers, which cannot be used."""

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is torch.ops.aten.zero_.default:
            return args[0]
        if func is torch.ops.aten._foreach_zero_.default:
            return None
        raise RuntimeError(APPLIED)

    def __repr__(self, **_: object) -> str:  # type: ignore[override]
        return f"Applied({describe(self)})"


def applied(weight: Tensor) -> Tensor:
    """One of the shape of the weight."""
    return Tensor._make_wrapper_subclass(
        Applied, weight.shape, dtype=weight.dtype, device=weight.device
    )
