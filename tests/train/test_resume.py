"""A run that was cut and gone on with ends as if it had not been cut."""

import contextlib
import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from gonio.base.durable import sha256
from gonio.base.errors import CheckpointError
from gonio.data import open_data
from gonio.settings import read_yaml
from gonio.train import LossConfig, TargetsConfig, TrainConfig, load_backbone, train, trainer
from train.runs import STEPS, change, folder_of, metrics_of, run_config


class PowerCut(BaseException):
    """Nothing may catch it but the test."""


def train_until(step, config, monkeypatch):
    """Train, and stop dead after a step."""
    real = trainer.training_steps

    def cut(state, *arguments):
        for metrics in real(state, *arguments):
            yield metrics
            if state.step == step:
                raise PowerCut

    monkeypatch.setattr(trainer, "training_steps", cut)
    with pytest.raises(PowerCut):
        train(config)
    monkeypatch.undo()


def assert_same_run(folder, expected):
    assert sha256(folder.weights) == sha256(expected.weights)
    assert metrics_of(folder) == metrics_of(expected)


@pytest.mark.parametrize("loss", ["normface", "sphereface"])  # a learned scale; a schedule
@pytest.mark.parametrize("step", [3, 9, 17])  # before a checkpoint, within an epoch, in the second
def test_a_run_that_was_cut_ends_as_if_it_had_not_been(
    loss, step, finished_run, tmp_path, monkeypatch
):
    config = run_config(tmp_path, loss, checkpoint_every=5)
    train_until(step, config, monkeypatch)
    torch.manual_seed(99)
    with (
        pytest.warns(UserWarning, match="no checkpoint yet")
        if step < 5
        else contextlib.nullcontext()
    ):
        train(config, resume=True)
    assert_same_run(folder_of(config), finished_run(loss))


SETTINGS = {
    "mixed images": ("arcface", {"targets": TargetsConfig(mixup=0.5)}),
    "groups of an identity": ("supcon", {}),
    "a drawn margin": ("elastic-arcface", {}),
}


@pytest.mark.parametrize(("loss", "settings"), SETTINGS.values(), ids=SETTINGS)
def test_what_is_drawn_at_each_step_is_drawn_again(tmp_path, monkeypatch, loss, settings):
    whole = run_config(tmp_path / "whole", loss, **settings)
    train(whole)
    config = run_config(tmp_path / "cut", loss, checkpoint_every=5, **settings)
    train_until(13, config, monkeypatch)
    torch.manual_seed(99)
    train(config, resume=True)
    assert_same_run(folder_of(config), folder_of(whole))


def test_a_damaged_checkpoint_costs_steps_but_not_the_result(finished_run, tmp_path, monkeypatch):
    config = run_config(tmp_path, checkpoint_every=4)
    train_until(13, config, monkeypatch)
    newest = max(folder_of(config).checkpoints.glob("step-*"))
    (newest / "tensors.safetensors").write_bytes(b"")
    with pytest.warns(UserWarning, match="step-000000012 is damaged"):
        train(config, resume=True)
    assert_same_run(folder_of(config), finished_run("arcface"))


def test_without_a_whole_checkpoint_a_run_does_not_begin_again(finished):
    for one in folder_of(finished).checkpoints.glob("step-*"):
        (one / "manifest.json").unlink()
    with pytest.warns(UserWarning, match="damaged"), pytest.raises(CheckpointError, match="whole"):
        train(finished, resume=True)
    assert len(metrics_of(folder_of(finished))) == STEPS


def test_a_finished_run_without_checkpoints_is_finished(finished, finished_run):
    """They were deleted to save room: nothing is trained anew, and the model is written again."""
    folder = folder_of(finished)
    shutil.rmtree(folder.checkpoints)
    lines = folder.metrics.read_bytes()
    assert torch.equal(
        next(train(finished, resume=True).backbone.parameters()),
        next(load_backbone(folder.path).parameters()),
    )
    assert folder.metrics.read_bytes() == lines
    assert_same_run(folder, finished_run("arcface"))


def test_without_checkpoints_nothing_can_be_made_longer(finished, finished_run):
    shutil.rmtree(folder_of(finished).checkpoints)
    with pytest.raises(
        CheckpointError, match="no checkpoint is left to go on from after step 24 of 36"
    ):
        train(change(finished, "optimise.epochs", 3), resume=True)
    assert_same_run(folder_of(finished), finished_run("arcface"))


@pytest.mark.parametrize("gone", ["checkpoints", "model.json", "both", "neither"])
def test_what_a_run_is_is_compared_whatever_is_left_of_it(finished, gone):
    folder = folder_of(finished)
    if gone in ("checkpoints", "both"):
        shutil.rmtree(folder.checkpoints)
    if gone in ("model.json", "both"):
        folder.model.unlink()
    before = sha256(folder.weights)
    with pytest.raises(CheckpointError, match=r"^loss\.name: 'cosface' now, 'arcface' in the run"):
        train(change(finished, "loss", LossConfig("cosface")), resume=True)
    assert sha256(folder.weights) == before


def test_another_number_of_threads_is_told(finished):
    about = json.loads(folder_of(finished).about.read_text())
    about["environment"]["threads"] += 3
    folder_of(finished).about.write_text(json.dumps(about))
    with pytest.warns(
        UserWarning, match=r"the last digits may differ.*: threads \(\d+ now, \d+ before\)"
    ):
        train(finished, resume=True)


def test_a_finished_run_stays_as_it_is(finished, finished_run):
    train(finished, resume=True)
    assert_same_run(folder_of(finished), finished_run("arcface"))


def test_a_finished_run_can_go_on_for_more_epochs(finished, finished_run):
    train(change(finished, "optimise.epochs", 3), resume=True)
    lines = metrics_of(folder_of(finished))
    assert [line["step"] for line in lines] == list(range(1, 37))
    assert lines[:STEPS] == metrics_of(finished_run("arcface"))
    assert "epochs: 3" in folder_of(finished).config.read_text()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", 9),
        ("optimise.lr", 0.05),
        ("optimise.epochs", 1),
        ("optimise.batch_size", 64),
        ("optimise.per_identity", 2),
        ("targets.mixup", 0.2),
        ("model.embedding_dim", 64),
        ("data.unseen", 0.4),
        ("data.split_seed", 5),
    ],
)
def test_a_run_does_not_go_on_with_other_settings(finished, name, value):
    before = sha256(folder_of(finished).weights)
    with pytest.raises(CheckpointError, match=f"^{name}: {value} now"):
        train(change(finished, name, value), resume=True)
    assert sha256(folder_of(finished).weights) == before


def test_settings_that_change_no_number_may_change(finished, finished_run):
    for name, value in (("checkpoint_every", 3), ("log_every", 7), ("device", "auto")):
        train(change(finished, name, value), resume=True)
    assert_same_run(folder_of(finished), finished_run("arcface"))


def people(folder):
    """Eighty pictures of the ten digits, as files."""
    images = open_data("digits", size=8, channels=1)
    for index in range(80):
        identity = folder / images.names[images.labels[index]]
        identity.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images.read([index])[0, 0].numpy()).save(identity / f"{index}.png")
    return folder


@pytest.fixture
def of_people(tmp_path):
    """The configuration of a finished run on a folder of pictures."""
    source = people(tmp_path / "people")
    config = change(run_config(tmp_path / "run"), "data.source", str(source))
    train(config)
    return config


def remove(path):
    path.unlink()


def repaint(path):
    Image.new("L", (8, 8), 77).save(path)


@pytest.mark.parametrize(
    ("change_of", "said"), [(remove, r"files \(79 now, 80 before\), pixels"), (repaint, "pixels;")]
)
def test_a_run_does_not_go_on_with_other_data(of_people, change_of, said):
    change_of(min(Path(of_people.data.source).rglob("*.png")))
    for _ in range(2):  # with and without a checkpoint
        with pytest.raises(CheckpointError, match=rf"people has changed since .*: {said}"):
            train(of_people, resume=True)
        shutil.rmtree(folder_of(of_people).checkpoints, ignore_errors=True)


def test_a_run_finds_its_data_from_every_folder_and_where_they_were_moved_to(
    of_people, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    relative = change(change(of_people, "data.source", "people"), "out", "relative")
    train(relative)
    kept = TrainConfig.from_dict(read_yaml(tmp_path / "relative/config.yaml"))
    assert kept.data.source == str(tmp_path / "people")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    train(change(kept, "out", "../relative"), resume=True)
    (tmp_path / "people").rename(tmp_path / "moved")
    train(change(of_people, "data.source", "../moved"), resume=True)


def test_there_is_nothing_to_go_on_with(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match="holds no run"):
        train(run_config("run"), resume=True)
    with pytest.raises(CheckpointError, match="digits-arcface-<number>"):
        train(change(run_config("run"), "out", None), resume=True)
    assert not list(tmp_path.iterdir())
