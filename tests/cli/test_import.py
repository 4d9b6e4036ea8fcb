"""Code that a file names is text, until the command line says otherwise."""

import json

import pytest
import yaml

from cli.conftest import DIGITS

CODE = """
import pathlib
import gonio
from torch import nn

pathlib.Path("ran").touch()

def loss(margin: float = 0.2) -> gonio.Loss:
    return gonio.losses.cosface(margin=margin)

def net(embedding_dim, image_size, channels):
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * image_size**2, embedding_dim))
"""


@pytest.fixture
def ran(tmp_path, monkeypatch):
    """Whether the module has been imported, since this was asked last; the folder is the test's own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine_and_yours.py").write_text(CODE)

    def look():
        monkeypatch.delitem(__import__("sys").modules, "mine_and_yours", raising=False)
        trace = tmp_path / "ran"
        is_there = trace.exists()
        trace.unlink(missing_ok=True)
        return is_there

    return look


LOSS, NET = "mine_and_yours:loss", "mine_and_yours:net"
FILES = [
    f"loss: {LOSS}",
    f"loss: {{name: {LOSS}, margin: 0.1}}",
    f"model: {NET}",
    f"model: {{backbone: {NET}}}",
]


@pytest.mark.parametrize("text", FILES)
@pytest.mark.parametrize("question", ["--print_config", "--help", "--resume"])
def test_a_configuration_runs_nothing(gonio, ran, tmp_path, text, question):
    (tmp_path / "c.yaml").write_text(text)
    result = gonio("train", "--config", "c.yaml", "--out", "x", question, *DIGITS)
    assert (result.code, ran()) == (2, False)
    assert "--import mine_and_yours:" in result.err
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"loss: {LOSS}", ("--import", "mine_and_yours")),
        (f"loss: {LOSS}", ("--import", LOSS)),
        (f"loss: {LOSS}", ("--loss", LOSS)),
        (f"loss: {LOSS}", ("--loss", f"{{name: {LOSS}, margin: 0.3}}")),
        (f"model: {NET}", ("--model", NET)),
        (f"model: {NET}\nloss: {LOSS}", ("--import", NET, "--import", LOSS)),
    ],
)
def test_what_the_command_line_names_may_run(gonio, ran, tmp_path, text, words):
    (tmp_path / "c.yaml").write_text(text)
    result = gonio("train", "--config", "c.yaml", "--print_config", *words)
    assert result.code == 0, result.err
    assert yaml.safe_load(result.out)["loss"]["name"] in (LOSS, "arcface")


def test_another_loss_than_the_files_needs_no_leave_for_it(gonio, ran, tmp_path):
    (tmp_path / "c.yaml").write_text(f"loss: {LOSS}")
    words = ("train", "--config", "c.yaml", "--loss", "cosface", "--print_config")
    assert (gonio(*words).code, ran()) == (0, False)
    refused = gonio(*words, "--seed", "-1")  # whose fault it is, is asked of the file too
    assert (refused.code, ran()) == (2, False)
    assert "seed: got -1" in refused.err


@pytest.mark.parametrize(
    "name", ["mine_and", "mine_and_yours:net2", "yours", "mine_and_yours.loss"]
)
def test_leave_for_another_name_is_no_leave(gonio, ran, tmp_path, name):
    (tmp_path / "c.yaml").write_text(f"loss: {LOSS}")
    result = gonio("train", "--config", "c.yaml", "--print_config", "--import", name)
    assert (result.code, ran()) == (2, False)


def test_the_model_of_a_run_runs_nothing(gonio, ran, own_run):
    about = json.loads((own_run / "model.json").read_text())
    about["backbone"]["name"] = NET
    (own_run / "model.json").write_text(json.dumps(about))
    result = gonio("evaluate", own_run)
    assert (result.code, ran()) == (2, False)
    assert f"--import {NET}" in result.err
