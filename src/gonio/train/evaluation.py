"""From a backbone and images to a report."""

from itertools import chain

import torch
from torch import Tensor, nn

from gonio.data import Images, to_float
from gonio.data.progress import track
from gonio.evaluate import Report, evaluate_embeddings

BATCH_SIZE = 256


@torch.inference_mode()
def embed(backbone: nn.Module, images: Images) -> Tensor:
    """(n, dim) embeddings on the CPU, not normalised; the backbone is left in evaluation mode."""
    backbone.eval()
    device = device_of(backbone)
    every = range(len(images))
    batches = [every[start : start + BATCH_SIZE] for start in every[::BATCH_SIZE]]
    parts = [
        backbone(to_float(images.read(batch).to(device))).float().cpu()
        for batch in track(batches, "embedding images", len(batches))
    ]
    return torch.cat(parts)


def device_of(backbone: nn.Module) -> torch.device:
    """Where a backbone is; one without a single number is on the CPU."""
    for tensor in chain(backbone.parameters(), backbone.buffers()):
        return tensor.device
    return torch.device("cpu")


def evaluate_backbone(backbone: nn.Module, images: Images) -> Report:
    """Verification and angles of the identities of `images`, computed where the backbone is.

    Raises:
        DataError: embeddings that are not finite, or of length zero.
    """
    return evaluate_embeddings(embed(backbone, images), images.labels)
