"""Handwritten digits: scikit-learn's copy of the optical recognition set of the UCI archive."""

import numpy as np
import torch

from gonio.base.errors import ConfigError
from gonio.data.images import ArrayImages


def digits() -> ArrayImages:
    """Return 1,797 grey images of 8 x 8 pixels of the ten digits.

    Raises:
        ConfigError: Where scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ConfigError(
            f"the data 'digits' need scikit-learn ({error}); pip install 'gonio[data]'"
        ) from error
    loaded = load_digits()
    pixels = np.rint(loaded.images * (255 / 16)).astype(np.uint8)  # 17 grey levels
    return ArrayImages(
        torch.from_numpy(pixels).unsqueeze(1),
        torch.from_numpy(loaded.target.astype(np.int64)),
        tuple(str(digit) for digit in range(10)),
    )
