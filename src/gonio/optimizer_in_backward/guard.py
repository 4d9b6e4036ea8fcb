"""Tensors that are not what they seem, and whose first touch sets that right or is refused.

While rows of a weight wait for steps, or a step is under way, nobody outside means the numbers that it holds.
A guarded tensor is for that time of a class of its own, through which all of torch, copies and pickles have
to go. Code that works on guarded tensors itself works on `unguarded` ones.
"""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

INTERRUPTED = (
    "head.weight: a backward pass is moving it or was interrupted while it did (attach_optimizer), so that "
    "some rows of it, and of the optimizer's state, have taken the step and others have not; load what "
    "was saved of both, or call head.detach_optimizer() to keep them as they are"
)
WRITTEN = (
    "head.weight: it or its momentum was written through another tensor on the same memory while "
    "classes that were not drawn waited for steps (attach_optimizer and Sampled), which would now move what was "
    "written; call head.catch_up() before you write to it"
)

past_guards = torch._C.DisableTorchFunctionSubclass
"""A context in which guarded tensors are what they hold."""

FACTS = {
    *(
        getattr(Tensor, name).__get__
        for name in (
            *("grad", "_grad", "requires_grad", "is_leaf", "grad_fn", "_version"),
            *("shape", "dtype", "device", "layout", "is_meta", "is_cuda", "is_sparse"),
            *("_backward_hooks", "_post_accumulate_grad_hooks"),
        )
    ),
    *(getattr(Tensor.grad, name) for name in ("__set__", "__delete__")),
    *(Tensor.__len__, Tensor.size, Tensor.dim, Tensor.numel),
    *(Tensor.is_floating_point, Tensor.is_complex),
}
"""What may be asked of a guarded tensor: it does not depend on its numbers."""

OVERWRITES = {
    Tensor.copy_,
    Tensor.fill_,
    Tensor.zero_,
    Tensor.normal_,
    Tensor.uniform_,
    Tensor.data.__set__,  # type: ignore[attr-defined]
}
"""What needs nothing of what its first tensor held."""


class Guard:
    """Stands before a weight and what an optimizer keeps of it, while they wait or move.

    Args:
        settle: brings up to date what waits.
    """

    def __init__(self, settle: Callable[[], None]) -> None:
        self._settle = settle
        self._kinds: dict[type[Tensor], type[Tensor]] = {}
        self._tensors: tuple[Tensor, ...] = ()
        self._versions: list[int] = []
        self.is_moving = False

    def wait(self, *tensors: Tensor) -> None:
        """These wait for steps: whoever touches them has them settled first."""
        self._stand_before(tensors)
        self._versions = [tensor._version for tensor in tensors]
        self.is_moving = False

    def move(self, *tensors: Tensor) -> None:
        """These are moved, and nobody may touch them until that has ended.

        Raises:
            RuntimeError: they waited, and were written past the guard.
        """
        if self._versions and self._versions != [tensor._version for tensor in self._tensors]:
            raise RuntimeError(WRITTEN)
        self._versions = []
        self._stand_before(tensors)
        self.is_moving = True

    def off(self) -> None:
        """They are what they seem again."""
        self._stand_before(())
        self._versions, self.is_moving = [], False

    def holds(self, *tensors: Tensor) -> bool:
        """Whether it stands before any of them."""
        return any(type(tensor) in self._kinds.values() for tensor in tensors)

    def touched(self, function: Callable[..., Any], args: Any, keywords: dict[str, Any]) -> Any:
        """What torch does in the place of a function that is called with one of the tensors."""
        if function in FACTS:
            with past_guards():
                return function(*args, **keywords)
        if self.is_moving and function in OVERWRITES and self.holds(args[0]):
            return _overwritten(function, args, keywords)
        self.settle()
        return function(*args, **keywords)

    def settle(self) -> None:
        """Let the tensors be touched.

        Raises:
            RuntimeError: they are moved.
        """
        if self.is_moving:
            raise RuntimeError(INTERRUPTED)
        self._settle()
        self.off()

    def _stand_before(self, tensors: tuple[Tensor, ...]) -> None:
        self._tensors += tensors
        for tensor in tensors:
            if not self.holds(tensor):
                kind = type(tensor)
                if kind not in self._kinds:
                    self._kinds[kind] = _guarded(kind, self)
                tensor.__class__ = self._kinds[kind]
        for tensor in self._tensors:
            if self.holds(tensor) and not any(tensor is one for one in tensors):
                tensor.__class__ = _plain(tensor)
        self._tensors = tensors


def unguarded(tensor: Tensor) -> Tensor:
    """Another tensor on the same memory, without a gradient."""
    with past_guards():
        return tensor.detach()


def _plain(tensor: Tensor) -> Any:
    """The class that a guarded tensor had."""
    return type(tensor).__base__


def _overwritten(function: Callable[..., Any], args: Any, keywords: dict[str, Any]) -> Any:
    """Write the whole of a tensor, which is then what it seems."""
    tensor: Tensor = args[0]
    guarded = type(tensor)
    tensor.__class__ = _plain(tensor)
    try:
        return function(*args, **keywords)
    except BaseException:
        tensor.__class__ = guarded
        raise


def _guarded(kind: Any, guard: Guard) -> type[Tensor]:
    """A class of tensors like another, that ask a guard first."""

    class Guarded(kind):  # type: ignore[misc]
        @classmethod
        def __torch_function__(
            cls, function: Any, types: object, args: Any = (), keywords: Any = None
        ) -> Any:
            return guard.touched(function, args, keywords or {})

        def __deepcopy__(self, memo: dict[int, Any]) -> Any:
            guard.settle()
            return copy.deepcopy(self, memo)

        def __reduce_ex__(self, protocol: Any) -> Any:
            guard.settle()
            return self.__reduce_ex__(protocol)

    found: type[Tensor] = Guarded
    return found
