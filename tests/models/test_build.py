import importlib.util

import pytest
import torch

from gonio.base.errors import ConfigError
from gonio.models import backbone_names, build_backbone

SHAPE = {"embedding_dim": 12, "image_size": 16, "channels": 3}


@pytest.mark.parametrize("name", backbone_names())
def test_every_built_in_backbone_returns_embeddings(name):
    backbone = build_backbone(name, **SHAPE)
    assert backbone.training
    assert backbone(torch.zeros(2, 3, 16, 16)).shape == (2, 12)


def test_the_names_are_those_of_the_documentation():
    assert backbone_names() == ("small", "iresnet18", "iresnet34", "iresnet50", "iresnet100")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("iresnet5", "got 'iresnet5'; did you mean 'iresnet50'?"),
        ("transformer", "must be one of small, iresnet18"),
    ],
)
def test_an_unknown_name_is_told_what_there_is(name, message):
    with pytest.raises(ConfigError) as raised:
        build_backbone(name, **SHAPE)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("argument", "value"), [("embedding_dim", 0), ("image_size", 7), ("channels", 0)]
)
def test_a_shape_that_cannot_be_is_refused(argument, value):
    with pytest.raises(ConfigError, match=f"{argument} must be at least .*, got {value}"):
        build_backbone("small", **SHAPE | {argument: value})


MODULE = """
from torch import nn

class Linear(nn.Sequential):
    def __init__(self, *, embedding_dim, image_size, channels):
        super().__init__(
            nn.Flatten(), nn.Linear(channels * image_size**2, embedding_dim), nn.Dropout(0.5)
        )

def narrow(*, embedding_dim, image_size, channels):
    return Linear(embedding_dim=embedding_dim - 1, image_size=image_size, channels=channels)

def large_images_only(*, embedding_dim, image_size, channels):
    return Linear(embedding_dim=embedding_dim, image_size=224, channels=channels)

def pair(*, embedding_dim, image_size, channels):
    class Pair(nn.Module):
        def forward(self, images):
            return images, images
    return Pair()

def no_module(**shape):
    return "resnet"

def other_arguments(dim):
    return Linear()
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    (tmp_path / "my_backbones.py").write_text(MODULE)
    (tmp_path / "my_mistake.py").write_text("def (:")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("mine")
def test_a_backbone_of_ones_own_is_built_in_training_mode():
    backbone = build_backbone("my_backbones:Linear", **SHAPE)
    assert type(backbone).__name__ == "Linear"
    assert all(module.training for module in backbone.modules())
    assert backbone(torch.zeros(5, 3, 16, 16)).shape == (5, 12)


@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing_module:f", "it cannot be imported: ModuleNotFoundError: .*; it is spelled"),
        ("my_backbones:missing", "cannot be imported: AttributeError: .*'missing'"),
        ("my_mistake:f", "cannot be imported: SyntaxError"),
        (":f", "cannot be imported: ValueError"),
        ("my_backbones:other_arguments", "failed when called with embedding_dim=12.*TypeError"),
        ("my_backbones:no_module", "must return a torch.nn.Module, got str"),
        ("my_backbones:large_images_only", r"fails on images of shape \(2, 3, 16, 16\): Runtime"),
        ("my_backbones:narrow", r"must return embeddings of shape \(2, 12\).*shape \(2, 11\)"),
        ("my_backbones:pair", "must return embeddings of shape .* got tuple"),
    ],
)
def test_a_backbone_of_ones_own_that_does_not_work_is_explained(name, message):
    with pytest.raises(ConfigError, match=message):
        build_backbone(name, **SHAPE)


needs_timm = pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="timm is missing")


@needs_timm
@pytest.mark.parametrize("model", ["resnet18", "vit_tiny_patch16_224"])
def test_a_model_of_timm_takes_images_of_any_size_and_channels(model):
    backbone = build_backbone(f"timm:{model}", embedding_dim=12, image_size=32, channels=1)
    assert backbone(torch.zeros(2, 1, 32, 32)).shape == (2, 12)


@needs_timm
def test_a_model_that_timm_does_not_have():
    with pytest.raises(ConfigError, match="has no model 'resnet999'"):
        build_backbone("timm:resnet999", **SHAPE)


@pytest.mark.skipif(importlib.util.find_spec("timm") is not None, reason="timm is installed")
def test_without_timm_the_extra_is_named():
    with pytest.raises(ConfigError, match=r"needs timm.*pip install 'gonio\[timm\]'"):
        build_backbone("timm:resnet18", **SHAPE)
