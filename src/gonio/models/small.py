"""The default backbone: a few convolutions, trained in minutes on a CPU."""

import math
from typing import cast

from torch import Tensor, nn

WIDTHS = (32, 64, 128, 128)
STRIDES = (2, 2, 2, 1)


class SmallNet(nn.Module):
    """Four blocks of convolution, batch normalisation and PReLU, then a linear projection.

    Takes `(batch, channels, image_size, image_size)` float32 in [-1, 1] and returns
    `(batch, embedding_dim)`, not normalised.

    Args:
        embedding_dim: Size of the embeddings.
        image_size: Height and width of the images in pixels, at least 8 and best up to 64.
        channels: Of the images.
    """

    def __init__(self, *, embedding_dim: int, image_size: int, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width, stride in zip(WIDTHS, STRIDES, strict=True):
            layers += [
                nn.Conv2d(channels, width, 3, stride, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.PReLU(width),
            ]
            channels = width
        side = math.ceil(image_size / math.prod(STRIDES))
        self.layers = nn.Sequential(
            *layers,
            nn.Flatten(),
            nn.Linear(channels * side**2, embedding_dim, bias=False),
            nn.BatchNorm1d(embedding_dim),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return the embeddings of a batch of images."""
        return cast(Tensor, self.layers(images))
