"""IResNet, the backbone of face recognition: the improved residual network of the ArcFace paper.

Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", CVPR 2019, with the
stem, block and output (BN-Dropout-FC-BN) of its section 3.1 and its published implementation.
"""

from typing import cast

from torch import Tensor, nn

from gonio.base.errors import ConfigError

DEPTHS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 14, 3),
    100: (3, 13, 30, 3),
}
"""Blocks in each of the four stages, by the number of layers in the network's name."""

WIDTHS = (64, 128, 256, 512)
REDUCTION = 2 ** len(WIDTHS)
"""How many times smaller the last feature map is than the image, along each side."""


class Block(nn.Module):
    """Residual block BN-conv-BN-PReLU-conv-BN; the second convolution has the stride."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.PReLU(outputs),
            nn.Conv2d(outputs, outputs, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Sequential()
        if stride > 1 or inputs != outputs:
            self.shortcut.append(nn.Conv2d(inputs, outputs, 1, stride, bias=False))
            self.shortcut.append(nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Add the residual to the shortcut."""
        return cast(Tensor, self.residual(x) + self.shortcut(x))


class IResNet(nn.Module):
    """IResNet-18, -34, -50 or -100.

    Takes `(batch, channels, image_size, image_size)` float32 in [-1, 1] and returns
    `(batch, embedding_dim)`, not normalised.

    Args:
        depth: A key of `DEPTHS`.
        embedding_dim: Size of the embeddings.
        image_size: Height and width of the images in pixels, a multiple of 16; 112 in the paper.
        channels: Of the images.
        dropout: Probability in [0, 1) of dropping a feature before the last projection; 0.4 in
            the paper, none in later work.

    Raises:
        ConfigError: Where `depth` or `image_size` is not as above.
    """

    def __init__(
        self,
        depth: int,
        *,
        embedding_dim: int,
        image_size: int,
        channels: int,
        dropout: float = 0.0,
    ) -> None:
        if depth not in DEPTHS:
            raise ConfigError(f"depth of an IResNet must be one of {list(DEPTHS)}, got {depth}")
        if image_size % REDUCTION:
            raise ConfigError(
                f"image_size of an IResNet must be a multiple of {REDUCTION}, got {image_size}"
            )
        super().__init__()
        width = WIDTHS[0]
        self.stem = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.PReLU(width),
        )
        self.stages = nn.Sequential()
        for blocks, outputs in zip(DEPTHS[depth], WIDTHS, strict=True):
            others = (Block(outputs, outputs, stride=1) for _ in range(blocks - 1))
            self.stages.append(nn.Sequential(Block(width, outputs, stride=2), *others))
            width = outputs
        norm = nn.BatchNorm1d(embedding_dim)
        norm.weight.requires_grad_(False)  # the scale is the head's
        self.output = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.Dropout(dropout),
            nn.Flatten(),
            nn.Linear(width * (image_size // REDUCTION) ** 2, embedding_dim),
            norm,
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.1)

    def forward(self, images: Tensor) -> Tensor:
        """Return the embeddings of a batch of images."""
        return cast(Tensor, self.output(self.stages(self.stem(images))))
