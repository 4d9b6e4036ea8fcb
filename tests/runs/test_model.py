"""A model file is what it should be, or it is named and refused before anything is allocated."""

import json
import shutil

import pytest

from gonio.base.errors import CheckpointError
from gonio.runs.folder import RunFolder
from gonio.runs.model import load_backbone, read_model
from gonio.train import train
from train.runs import run_config


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return train(run_config(tmp_path_factory.mktemp("model") / "run")).folder


@pytest.fixture
def folder(whole, tmp_path):
    return RunFolder(shutil.copytree(whole.path, tmp_path / "run"))


def edit(path, section, **changes):
    content = json.loads(path.read_text())
    (content[section] if section else content).update(changes)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    "size",
    [
        {"embedding_dim": 127},
        {"embedding_dim": 10**12},
        {"embedding_dim": 10**30},
        {"embedding_dim": 0},
        {"channels": 10**9},
        {"image_size": 10**8},
        {"name": "iresnet100", "image_size": 2**20},
    ],
    ids=str,
)
def test_sizes_are_held_against_the_weights_before_any_room_is_taken(folder, size, monkeypatch):
    edit(folder.model, "backbone", **size)
    monkeypatch.setattr("gonio.runs.model.read_weights", None)
    ((name, value), *_) = size.items()
    with pytest.raises(
        CheckpointError, match=rf"model\.json: .*{name} '?{value}.* does not go with"
    ):
        load_backbone(folder.path)


@pytest.mark.parametrize(
    ("section", "changes", "said"),
    [
        ("backbone", {"name": 7}, "Model.backbone.name: got 7"),
        ("backbone", {"image_size": 8.0}, "Model.backbone.image_size: got 8.0"),
        ("", {"backbone": "small"}, "Model.backbone: got 'small'"),
        ("", {"identities": ["x"] * 8}, "got 8, 1 of them different; .* has 8 classes"),
        ("", {"identities": ["a"]}, "got 1, 1 of them different; .* has 8 classes"),
        ("", {"run": None}, "Model.run: got None"),
        ("run", {"data": {"images": 3}}, "Model.run.data: got the fields images"),
        ("", {"more": 1}, "Model: got the fields .*more"),
        ("", {"format": "2"}, "Model.format: got '2'"),
        ("", {"format": 99}, "newer gonio"),
    ],
)
def test_a_file_of_another_kind_is_refused(folder, section, changes, said):
    edit(folder.model, section, **changes)
    with pytest.raises(CheckpointError, match=rf"model\.json .*{said}"):
        read_model(folder)


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", "", "\xff", '{"format": 2, "step": NaN}'])
def test_a_file_that_is_another_is_refused(folder, text):
    folder.model.write_text(text, encoding="latin-1")
    with pytest.raises(CheckpointError, match=r"model\.json is damaged"):
        read_model(folder)
