"""Backbones: networks from images to embeddings."""

from gonio.models.build import backbone_names, build_backbone, names_code
from gonio.models.iresnet import IResNet
from gonio.models.proof import prove_saving
from gonio.models.small import SmallNet

__all__ = ["IResNet", "SmallNet", "backbone_names", "build_backbone", "names_code", "prove_saving"]
