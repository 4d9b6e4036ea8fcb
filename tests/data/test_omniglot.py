"""Real handwriting as a folder of files: five alphabets of Omniglot, where the copy is there."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gonio.data import open_data, split_by_identity

ARCHIVE = Path(__file__).parents[3] / "shared/data/omniglot5/omniglot5_32px.npz"


@pytest.mark.skipif(not ARCHIVE.is_file(), reason=f"no {ARCHIVE.name} beside the repository")
def test_a_folder_of_handwriting_comes_back_pixel_by_pixel(tmp_path):
    with np.load(ARCHIVE, allow_pickle=False) as archive:
        drawn, labels, names = archive["images"], archive["label"], archive["label_names"]
    for i, (image, label) in enumerate(zip(drawn, labels, strict=True)):
        folder = tmp_path / str(names[label]).replace("/", "-")
        folder.mkdir(exist_ok=True)
        Image.fromarray(image).save(folder / f"{i:04}.png")

    images = open_data(str(tmp_path), size=32, channels=1)

    assert len(images) == 2720
    assert len(images.names) == 136
    assert (images.labels.bincount() == 20).all()
    by_name = np.argsort([str(names[label]).replace("/", "-") for label in labels], kind="stable")
    assert torch.equal(images.read(range(2720)), torch.from_numpy(drawn[by_name]).unsqueeze(1))
    train, unseen = split_by_identity(images, 0.25, seed=0)
    assert (len(train), len(unseen)) == (2040, 680)
