"""Genuine and impostor scores, sorted, and how many of each reach a threshold.

Scores are similarities: a pair is accepted iff score >= threshold. With N_G genuine and N_I
impostor pairs, FAR(t) = #{impostor >= t} / N_I, TAR(t) = #{genuine >= t} / N_G, FNR = 1 - TAR.
Operating points lie only at distinct scores and above the largest, so ties move together.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Scores:
    """Scores (pairs,) of genuine and of impostor pairs, finite and ascending; `of` sorts them."""

    genuine: Floats
    impostor: Floats

    @classmethod
    def of(cls, genuine: ArrayLike, impostor: ArrayLike) -> "Scores":
        """Check and sort.

        Raises:
            ValueError: scores that are not one-dimensional or not finite.
        """
        arrays = np.asarray(genuine), np.asarray(impostor)
        for name, array in zip(("genuine", "impostor"), arrays, strict=True):
            if array.ndim != 1:
                raise ValueError(f"{name}: got shape {array.shape}; scores have shape (pairs,)")
            if wrong := np.count_nonzero(~np.isfinite(array)):
                raise ValueError(f"{name}: {wrong} of {len(array)} scores are not finite")
        dtype: np.dtype[Any] = np.result_type(*arrays, np.float32)
        return cls(*(np.sort(array.astype(dtype, copy=False)) for array in arrays))

    @property
    def missing(self) -> str | None:
        """Why no metric can be computed, or None if there are pairs of both kinds."""
        if len(self.genuine) == 0:
            return "there are no genuine pairs: no identity has two samples"
        if len(self.impostor) == 0:
            return "there are no impostor pairs: all samples are of one identity"
        return None

    def true_accepts(self, thresholds: Floats) -> NDArray[np.int64]:
        """How many genuine pairs reach each threshold, in the shape of `thresholds`."""
        return len(self.genuine) - np.searchsorted(self.genuine, thresholds)

    def false_accepts(self, thresholds: Floats) -> NDArray[np.int64]:
        """How many impostor pairs reach each threshold, in the shape of `thresholds`."""
        return len(self.impostor) - np.searchsorted(self.impostor, thresholds)

    def thresholds(self, allowed: NDArray[np.int64]) -> Floats:
        """The lowest thresholds with at most `allowed` < N_I false accepts: ties count against us.

        Each is the smallest number above the (allowed + 1)-th largest impostor score.
        """
        return np.nextafter(self.impostor[len(self.impostor) - 1 - allowed], np.inf)
