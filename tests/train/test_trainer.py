"""What a run leaves, and that its numbers depend on nothing but the settings."""

import math

import pytest
import torch
from PIL import Image

from gonio.base.durable import sha256
from gonio.base.errors import CheckpointError, ConfigError, DataError
from gonio.data import to_float
from gonio.runs.about import About
from gonio.runs.checkpoint import newest_checkpoint
from gonio.runs.model import Backbone, read_model
from gonio.runs.records import read_record
from gonio.train import DivergedError, embed, load_backbone, train
from train.runs import STEPS, change, folder_of, metrics_of, run_config


def test_one_seed_gives_the_same_numbers_and_another_seed_others(finished_run, tmp_path):
    first = finished_run("arcface")
    again = train(run_config(tmp_path / "again")).folder
    other = train(run_config(tmp_path / "other", seed=1)).folder
    assert metrics_of(first) == metrics_of(again)
    assert sha256(first.weights) == sha256(again.weights)
    assert metrics_of(first) != metrics_of(other)
    assert sha256(first.weights) != sha256(other.weights)


def test_metrics_tell_that_the_run_learns(finished_run):
    lines = metrics_of(finished_run("arcface"))
    assert [line["step"] for line in lines] == list(range(1, STEPS + 1))
    assert [line["epoch"] for line in lines] == [1] * 12 + [2] * 12
    assert all(math.isfinite(value) for line in lines for value in line.values())
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert lines[-1]["angle_degrees"] < lines[0]["angle_degrees"] < 180
    assert lines[0]["accuracy"] < 0.8 < lines[-1]["accuracy"] <= 1


def test_metrics_can_be_written_every_few_steps(tmp_path, finished_run):
    folder = train(run_config(tmp_path, log_every=5)).folder
    every = metrics_of(finished_run("arcface"))
    assert metrics_of(folder) == [every[step - 1] for step in (5, 10, 15, 20, STEPS)]


def test_a_run_says_what_it_is_of(finished_run):
    folder = finished_run("arcface")
    about, model = read_record(About, folder.about), read_model(folder)
    assert about.steps == model.step == STEPS
    assert about.run == model.run
    assert about.environment.packages["torch"] == torch.__version__
    assert about.environment.threads == torch.get_num_threads()
    assert model.sha256 == sha256(folder.weights)
    assert model.loss["margin"] == model.run.settings["loss"]["margin"] == 0.5
    assert model.backbone == Backbone("small", embedding_dim=128, image_size=8, channels=1)
    assert (len(model.identities), model.run.data.identities) == (8, 10)
    assert not [path for path in folder.path.rglob("*") if "part" in path.name]


def test_the_exported_backbone_is_the_trained_one(tmp_path):
    run = train(run_config(tmp_path))
    backbone = load_backbone(tmp_path)
    assert not backbone.training
    trained, loaded = embed(run.backbone, run.split.unseen), embed(backbone, run.split.unseen)
    assert torch.equal(trained, loaded)
    one = to_float(run.split.unseen.read([5]))
    torch.testing.assert_close(backbone(one)[0], trained[5], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("damage", ["flip", "gone", "other json", "format"])
def test_a_damaged_export_is_refused(finished, damage):
    folder = folder_of(finished)
    if damage == "flip":
        content = bytearray(folder.weights.read_bytes())
        content[-1] ^= 1
        folder.weights.write_bytes(content)
    elif damage == "gone":
        folder.weights.unlink()
    else:
        folder.model.write_text("[]" if damage == "other json" else '{"format": 99}')
    with pytest.raises(CheckpointError, match=r"model\.(safetensors|json)"):
        load_backbone(folder.path)


def test_a_folder_that_holds_a_run_is_not_trained_into(finished):
    def files():
        found = folder_of(finished).path.rglob("[!.]*")
        return {path: path.stat().st_mtime_ns for path in found}

    before = files()
    with pytest.raises(ConfigError, match="--resume"):
        train(finished)
    assert files() == before


def test_a_folder_with_other_things_keeps_them(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    train(run_config(tmp_path))
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"^out: "):
        train(run_config(tmp_path / "file"))


def test_runs_without_a_name_are_numbered_and_the_latest_goes_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = change(change(run_config("x"), "out", None), "optimise.epochs", 1)
    (tmp_path / "runs" / "digits-arcface-9").mkdir(parents=True)
    assert train(config).folder.path.name == "digits-arcface-10"
    assert train(config).folder.path.name == "digits-arcface-11"
    assert train(config, resume=True).folder.path.name == "digits-arcface-11"


def test_a_run_that_cannot_begin_leaves_no_folder(tmp_path):
    (tmp_path / "nobody").mkdir()
    for name, value, error in (
        ("data.source", str(tmp_path / "nobody"), DataError),
        ("data.source", "nowhere", ConfigError),
        ("model.backbone", "smal", ConfigError),
        ("device", "tpu", RuntimeError),
    ):
        with pytest.raises(error):
            train(change(run_config(tmp_path / "run"), name, value))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("setting", "value", "cause"),
    [
        ("optimise.lr", 1e30, "finite"),
        ("model.backbone", "train.broken:build", "gradient: its norm is nan"),
    ],
)
def test_a_step_that_is_not_finite_ends_the_run_and_changes_no_weight(
    tmp_path, setting, value, cause
):
    config = change(run_config(tmp_path, checkpoint_every=1), setting, value)
    with pytest.raises(
        DivergedError, match=rf"^step \d+: .*{cause}.* training images \d"
    ) as caught:
        train(config)
    message = str(caught.value)
    step = int(message.split()[1].rstrip(":"))
    images = message.partition("training images ")[2].split(", ")
    assert len(images) == 120
    folder = folder_of(config)
    last = newest_checkpoint(folder.checkpoints)
    assert last.step == step - 1
    assert last.tensors["head.weight"].isfinite().all()
    assert len(metrics_of(folder)) == step - 1
    assert not folder.weights.exists()


def test_images_that_meet_themselves_are_told(tmp_path):
    for name in ("ann/1", "ann/2", "bob/1", "bob/2", "carol/1", "dave/1"):
        path = tmp_path / f"faces/{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8)).save(path)
    config = change(run_config(tmp_path / "run", "supcon"), "data.source", str(tmp_path / "faces"))
    with pytest.warns(UserWarning, match="2 of 2 identities have fewer than 4 images"):
        train(config)
