"""gonio: softmax-based losses with margins. `Head` is the door, `losses` the table.

Names are imported when they are first used, so that `gonio --help` need not wait for torch.
"""

import importlib
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gonio import engines, evaluate, figures, losses, rules
    from gonio.head import Head
    from gonio.loss import Loss
    from gonio.rules import Annealing, Auto, Learned, PerClass, Ramp

__version__: str

__all__ = [
    "Annealing",
    "Auto",
    "Head",
    "Learned",
    "Loss",
    "PerClass",
    "Ramp",
    "engines",
    "evaluate",
    "figures",
    "losses",
    "rules",
]

_HOMES = {
    "Annealing": "gonio.rules",
    "Auto": "gonio.rules",
    "Head": "gonio.head",
    "Learned": "gonio.rules",
    "Loss": "gonio.loss",
    "PerClass": "gonio.rules",
    "Ramp": "gonio.rules",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return version("gonio")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in __all__:
        return importlib.import_module(f"gonio.{name}")
    raise AttributeError(f"module 'gonio' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
