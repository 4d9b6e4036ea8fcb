import pytest
import torch

from gonio.base.errors import ConfigError
from gonio.models import IResNet, build_backbone

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 14, 3), 100: (3, 13, 30, 3)}
PUBLISHED = {18: 24.02, 34: 34.14, 50: 43.59, 100: 65.15}  # millions, for 112 x 112 x 3 and 512


def counted_by_hand(blocks):
    """Weights of convolutions, 2 for each normalised channel, 1 for each PReLU, and the output."""
    inputs = 64
    total = 9 * 3 * inputs + 2 * inputs + inputs
    for number, outputs in zip(blocks, (64, 128, 256, 512), strict=True):
        total += inputs * outputs + 2 * outputs  # the shortcut of the first block
        for _ in range(number):
            total += 2 * inputs + 9 * inputs * outputs + 3 * outputs
            total += 9 * outputs * outputs + 2 * outputs
            inputs = outputs
    return total + 2 * 512 + (512 * 7 * 7 + 1) * 512 + 2 * 512


@pytest.mark.parametrize("depth", BLOCKS)
def test_parameters_are_as_many_as_published(depth):
    with torch.device("meta"):
        backbone = IResNet(depth, embedding_dim=512, image_size=112, channels=3)
    count = sum(parameter.numel() for parameter in backbone.parameters())
    assert count == counted_by_hand(BLOCKS[depth])
    assert count / 1e6 == pytest.approx(PUBLISHED[depth], abs=0.01)


@pytest.mark.parametrize("depth", BLOCKS)
def test_the_named_depth_is_built(depth):
    with torch.device("meta"):
        backbone = build_backbone(f"iresnet{depth}", embedding_dim=8, image_size=16, channels=1)
    convolutions = [module for module in backbone.modules() if isinstance(module, torch.nn.Conv2d)]
    assert len(convolutions) == 1 + 2 * sum(BLOCKS[depth]) + 4


@pytest.mark.parametrize(("image_size", "channels"), [(16, 1), (112, 3), (48, 1)])
def test_shapes_and_finite_gradients(image_size, channels):
    backbone = IResNet(18, embedding_dim=24, image_size=image_size, channels=channels)
    embeddings = backbone(torch.rand(3, channels, image_size, image_size) * 2 - 1)
    assert embeddings.shape == (3, 24)
    embeddings.square().sum().backward()
    trained = {name: p.grad for name, p in backbone.named_parameters() if p.requires_grad}
    assert all(grad is not None and grad.isfinite().all() for grad in trained.values())


def test_the_stem_and_each_stage_have_their_resolution():
    backbone = IResNet(18, embedding_dim=8, image_size=112, channels=3).eval()
    features = backbone.stem(torch.zeros(1, 3, 112, 112))
    assert features.shape == (1, 64, 112, 112)
    for stage, (width, side) in zip(
        backbone.stages, [(64, 56), (128, 28), (256, 14), (512, 7)], strict=True
    ):
        features = stage(features)
        assert features.shape == (1, width, side, side)


def test_embeddings_of_a_batch_in_training_have_unit_variance_in_every_dimension():
    backbone = IResNet(18, embedding_dim=16, image_size=16, channels=1)
    embeddings = backbone(torch.randn(64, 1, 16, 16))
    torch.testing.assert_close(
        embeddings.std(dim=0, correction=0), torch.ones(16), atol=0.01, rtol=0
    )


def test_dropout_acts_in_training_alone():
    backbone = IResNet(18, embedding_dim=8, image_size=16, channels=1, dropout=0.4).eval()
    images = torch.randn(4, 1, 16, 16)
    torch.testing.assert_close(backbone(images), backbone(images), atol=0, rtol=0)
    backbone.output[1].train()
    assert not torch.equal(backbone(images), backbone(images))


def test_a_size_that_the_stages_cannot_halve_is_refused():
    with pytest.raises(ConfigError, match="multiple of 16, got 100"):
        build_backbone("iresnet18", embedding_dim=8, image_size=100, channels=1)


def test_a_depth_that_was_not_published_is_refused():
    with pytest.raises(ConfigError, match=r"one of \[18, 34, 50, 100\], got 101"):
        IResNet(101, embedding_dim=8, image_size=16, channels=1)
