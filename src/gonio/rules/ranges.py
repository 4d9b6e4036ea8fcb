"""What a setting may be: each check names the setting, what was got, and what is allowed."""

import math
from collections.abc import Iterable

from gonio.rules.number import Number, extremes


def at_least_zero(name: str, number: Number) -> None:
    """Refuse a number, or a setting that ever gives one, below 0 or not finite.

    Raises:
        ValueError: names the setting.
    """
    low, high = extremes(number)
    if not (low >= 0 and high < math.inf):
        raise ValueError(f"{name}: {number} is not a finite number >= 0")


def cosine_margin(margin: Number) -> None:
    """Refuse a margin between cosines that can only be one in degrees.

    Raises:
        ValueError: outside [0, 3].
    """
    at_least_zero("margin", margin)
    if extremes(margin)[1] > 3:
        raise ValueError(
            f"margin: {margin} is out of range [0, 3]; cosines differ by at most 2, and the unit is not "
            "degrees"
        )


def one_of(name: str, value: object, choices: Iterable[object]) -> None:
    """Refuse a word that is not among the choices.

    Raises:
        ValueError: names the setting and the choices.
    """
    if value not in (allowed := list(choices)):
        raise ValueError(f"{name}: {value!r} is unknown; choose one of {allowed}")


def whole_number(name: str, number: object, least: int, mend: str = "") -> None:
    """Refuse what is no whole number, or too small.

    Raises:
        TypeError: another type.
        ValueError: below `least`.
    """
    allowed = f"a whole number >= {least}" + (f"; {mend}" if mend else "")
    if not isinstance(number, int) or isinstance(number, bool):
        raise TypeError(f"{name}: got {number!r}, which is not {allowed}")
    if number < least:
        raise ValueError(f"{name}: {number} is not {allowed}")


def real_number(name: str, number: object) -> None:
    """Refuse what is no number.

    Raises:
        TypeError: another type.
    """
    if not isinstance(number, int | float) or isinstance(number, bool):
        raise TypeError(f"{name}: got {number!r}, which is not a number")
