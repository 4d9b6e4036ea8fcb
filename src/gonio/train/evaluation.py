"""From a backbone and images to a report, and its files in the folder of the run."""

import warnings

import torch
from torch import Tensor, nn

from gonio.base.errors import GonioError
from gonio.data import Images, to_float
from gonio.data.progress import track
from gonio.evaluate import Report, evaluate_embeddings
from gonio.figures import style
from gonio.figures.verification import RocDisplay, ScoreHistogramDisplay
from gonio.train.run_folder import RunFolder

BATCH_SIZE = 256


@torch.inference_mode()
def embed(backbone: nn.Module, images: Images) -> Tensor:
    """(n, dim) embeddings on the CPU, not normalised; the backbone is left in evaluation mode."""
    backbone.eval()
    device = next(backbone.parameters()).device
    every = range(len(images))
    batches = [every[start : start + BATCH_SIZE] for start in every[::BATCH_SIZE]]
    parts = [
        backbone(to_float(images.read(batch).to(device))).float().cpu()
        for batch in track(batches, "embedding images", len(batches))
    ]
    return torch.cat(parts)


def evaluate_backbone(backbone: nn.Module, images: Images) -> Report:
    """Verification and angles of the identities of `images`, computed where the backbone is.

    Raises:
        DataError: embeddings that are not finite, or of length zero.
    """
    return evaluate_embeddings(embed(backbone, images), images.labels)


def write_results(folder: RunFolder, report: Report, of: str | None = None) -> None:
    """Write the report and its two pictures; without matplotlib, a warning takes their place.

    Args:
        folder: of the run.
        report: to write.
        of: the name of the data, where it is not the run's own unseen identities.
    """
    report.write(folder.results(of))
    verification = report.verification
    try:
        histogram = ScoreHistogramDisplay.from_verification(verification).plot()
        style.save(histogram.figure_, folder.scores_picture(of))
        roc = RocDisplay.from_verification(verification, name=folder.path.name).plot()
        style.save(roc.figure_, folder.roc_picture(of))
    except GonioError as error:
        warnings.warn(f"{folder.path}: no picture is drawn: {error}", stacklevel=2)
