"""Parts that name their gradient."""

from typing import Literal

Gradient = Literal["exact", "detached"]


class NamesItsGradient:
    """A part with a setting `gradient`: "exact" is the derivative, "detached" takes something as constant."""

    gradient: Gradient
