"""A number as people pass it: of Python, of numpy, or in a tensor of no dimension.

True is no number here: it is a flag that came to the wrong place.
"""

import math
import numbers
import operator

import numpy as np
from torch import Tensor

from gonio.base.checks import describe

SMALLEST, LARGEST = 1e-30, 1e30
"""Beyond these, products of settings, scores and weights leave the range of float32."""

LONGEST = 80
"""Characters of a value that an error shows."""


def real_number(name: str, number: object) -> float:
    """A number -> a float; one that is too large for a float is infinite.

    Raises:
        TypeError: names the argument that is no number.
        ValueError: a tensor that waits for a gradient.
    """
    found = _held(name, number)
    if isinstance(found, bool) or not isinstance(found, numbers.Real):
        raise TypeError(f"{name}: got {brief(number)}, which is not a number")
    try:
        return float(found)
    except OverflowError:
        return math.inf if operator.gt(found, 0) else -math.inf


def whole_number(name: str, number: object, least: int | None = None, mend: str = "") -> int:
    """A whole number -> an int. 3.0 is none.

    Raises:
        TypeError: names the argument that is no whole number.
        ValueError: below `least`, or a tensor that waits for a gradient.
    """
    allowed = "a whole number" + ("" if least is None else f" >= {least}")
    allowed += f"; {mend}" if mend else ""
    found = _held(name, number)
    if isinstance(found, bool) or not isinstance(found, numbers.Integral):
        raise TypeError(f"{name}: got {brief(number)}, which is not {allowed}")
    if least is not None and found < least:
        raise ValueError(f"{name}: {number} is not {allowed}")
    return operator.index(found)


def brief(value: object) -> str:
    """A value as an error shows it: short, and an array by its dtype and shape."""
    if isinstance(value, Tensor):
        return describe(value)
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{list(value.shape)}"
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _held(name: str, number: object) -> object:
    """What an array or a tensor of no dimension holds; anything else as it is."""
    if isinstance(number, Tensor) and number.requires_grad:
        raise ValueError(
            f"{name}: got a tensor that requires a gradient, and would not get one; give a number, such "
            "as its .item()"
        )
    if isinstance(number, Tensor | np.ndarray | np.generic) and number.ndim == 0:
        held: object = number.item()
        return held
    return number
