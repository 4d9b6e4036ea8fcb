"""gonio: softmax-based losses with margins. `Head` is the door, `losses` the table.

Names are imported when they are first used, so that `gonio --help` need not wait for torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gonio import losses
    from gonio.equation import Loss
    from gonio.head import Head
    from gonio.rules import Annealing, Auto, Learned, Ramp

__all__ = ["Annealing", "Auto", "Head", "Learned", "Loss", "Ramp", "losses"]

_HOMES = {
    "Annealing": "gonio.rules",
    "Auto": "gonio.rules",
    "Head": "gonio.head",
    "Learned": "gonio.rules",
    "Loss": "gonio.equation",
    "Ramp": "gonio.rules",
}


def __getattr__(name: str) -> Any:
    if name == "losses":
        return importlib.import_module("gonio.losses")
    if name not in _HOMES:
        raise AttributeError(f"module 'gonio' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
