"""A loss that holds the whole contract, and one for each check that breaks it alone or nearly so."""

import math

import torch
import torch.nn.functional as F
from torch import nn

import gonio


class Right(nn.Module):
    """CosFace, carefully."""

    def __init__(self, num_classes, embedding_dim, margin=0.35, scale=8.0, ignore_index=-100):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(num_classes, embedding_dim))
        self.margin, self.scale, self.ignore_index = margin, scale, ignore_index

    def forward(self, embeddings, labels):
        cosine = self.cosine(self.cast(embeddings))
        own = torch.zeros_like(cosine).scatter(1, labels.clamp(min=0)[:, None], 1)
        return self.loss(self.scale * (cosine - self.subtracted(cosine, own)), labels)

    def cast(self, embeddings):
        return embeddings.to(torch.promote_types(embeddings.dtype, self.weight.dtype))

    def cosine(self, x):
        return F.normalize(x) @ F.normalize(self.weight).T

    def subtracted(self, cosine, own):
        return self.margin * own

    def loss(self, scores, labels):
        return F.cross_entropy(scores, labels, ignore_index=self.ignore_index)


class SignFlipped(Right):
    def subtracted(self, cosine, own):
        return -self.margin * own


class StraightThrough(Right):
    def subtracted(self, cosine, own):
        return (cosine - (cosine + 0.5).cos()).detach() * own


class Arccos(Right):
    def subtracted(self, cosine, own):
        return (cosine - (cosine.clamp(-1, 1).acos() + 0.1).cos()) * own


class DeadNextToItsClass(Right):
    """Nothing is wrong but next to a pole, where the value is flat."""

    def cosine(self, x):
        return super().cosine(x).clamp(-1 + 1e-4, 1 - 1e-4)


class NoGradientNextToItsClass(Right):
    """An angle is added; next to the class the value goes on and the gradient does not."""

    def subtracted(self, cosine, own):
        added = (cosine.clamp(-1 + 1e-7, 1 - 1e-7).acos() + 0.2).cos()
        return (cosine - torch.where(cosine > 1 - 1e-4, added.detach(), added)) * own


class WrongInOneRow(Right):
    """The last class alone has a gradient that is 10 % off."""

    def cosine(self, x):
        cosine = super().cosine(x)
        last = torch.arange(cosine.shape[1]) == cosine.shape[1] - 1
        return torch.where(last, 1.1 * cosine - 0.1 * cosine.detach(), cosine)


class RoundsFloat32(Right):
    def cosine(self, x):
        cosine = super().cosine(x)
        return cosine.to(torch.bfloat16).to(x.dtype) if x.dtype == torch.float32 else cosine


class Variance(Right):
    """Not a number for a batch of one."""

    def loss(self, scores, labels):
        away = scores - scores.mean(dim=0)
        return super().loss(scores, labels) + 0 * away.square().sum() / (len(scores) - 1)


class NormWithoutEpsilon(Right):
    def cosine(self, x):
        return super().cosine(x / x.norm(dim=1, keepdim=True))


class InHalfPrecision(Right):
    def forward(self, embeddings, labels):
        return super().forward(embeddings, labels).to(embeddings.dtype)

    def cosine(self, x):
        return super().cosine(x).to(torch.float16).to(x.dtype)


class OneDtype(Right):
    def cast(self, embeddings):
        return embeddings


class TrainsIgnoredRows(Right):
    def loss(self, scores, labels):
        return F.cross_entropy(scores, labels.where(labels != self.ignore_index, 0))


class TrainsUnlabelledRows(Right):
    """Label -1 is a sample of no class, which is pushed away from all."""

    def loss(self, scores, labels):
        own = scores.gather(1, labels.clamp(min=0)[:, None])[:, 0]
        return (scores.logsumexp(dim=1) - own.where(labels >= 0, 0)).mean()


class WeighsByPlace(Right):
    def loss(self, scores, labels):
        losses = F.cross_entropy(scores, labels, reduction="none")
        return (losses * torch.linspace(1, 2, len(losses), dtype=losses.dtype)).mean()


class Leaks(Right):
    def subtracted(self, cosine, own):
        return self.margin * own * (1 + cosine.mean())


class FavoursAClass(Right):
    def subtracted(self, cosine, own):
        return self.margin * own * torch.arange(own.shape[1])


class CastsItsWeight(Right):
    def cast(self, embeddings):
        self.weight.data = self.weight.data.to(embeddings.dtype)
        return embeddings


class _OverwritesItsMemory(torch.autograd.Function):
    @staticmethod
    def forward(ctx, scores):
        ctx.buffer = scores.exp()
        return ctx.buffer.clone()

    @staticmethod
    def backward(ctx, grad):
        return ctx.buffer.mul_(grad)


class BackwardOnce(Right):
    def loss(self, scores, labels):
        every = _OverwritesItsMemory.apply(scores)
        return (every.sum(dim=1).log() - scores.gather(1, labels[:, None])[:, 0]).mean()


class BreaksTheGraph(Right):
    def loss(self, scores, labels):
        if scores.isnan().any():
            raise ValueError("NaN")
        return super().loss(scores, labels)


class AsksForBreaks(Right):
    """Not wrong: it says that two of its parts are not to be traced."""

    @torch.compiler.disable
    def cast(self, embeddings):
        return super().cast(embeddings)

    def loss(self, scores, labels):
        return _untraced(scores, labels)


@torch.compiler.disable
def _untraced(scores, labels):
    return F.cross_entropy(scores, labels)


def pairs(embeddings, labels):
    """No class weights, and nothing that takes half precision on a CPU."""
    return (torch.cdist(embeddings, embeddings) * (labels[:, None] == labels)).mean()


def degrees_for_radians():
    return gonio.losses.arcface(margin=math.radians(0.5))


def rises_past_pi():
    return gonio.losses.arcface(margin=1.2, past_pi="raw")
