import pytest
import torch
from torch.nn.functional import cross_entropy

from gonio.data import open_data, to_float
from gonio.models import SmallNet


@pytest.mark.parametrize("image_size", [8, 9, 31, 32, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_size_from_8_pixels_gives_embeddings_and_finite_gradients(image_size, channels):
    backbone = SmallNet(embedding_dim=20, image_size=image_size, channels=channels)
    embeddings = backbone(torch.rand(4, channels, image_size, image_size) * 2 - 1)
    assert embeddings.shape == (4, 20)
    embeddings.square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in backbone.parameters())


def test_it_learns_the_digits():
    images = open_data("digits", size=8, channels=1)
    pixels, labels = to_float(images.read(range(len(images)))), images.labels
    backbone = SmallNet(embedding_dim=10, image_size=8, channels=1)
    optimizer = torch.optim.SGD(backbone.parameters(), lr=0.1, momentum=0.9)
    for _ in range(4):
        for batch in torch.randperm(1400).split(100):
            optimizer.zero_grad()
            cross_entropy(backbone(pixels[batch]), labels[batch]).backward()
            optimizer.step()
    with torch.no_grad():
        predicted = backbone.eval()(pixels[1400:]).argmax(dim=1)
    assert (predicted == labels[1400:]).float().mean() > 0.9
