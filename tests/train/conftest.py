import shutil

import pytest

from gonio.train import train
from train.runs import run_config


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory):
    """Loss -> folder of a run that was never cut; trained once, not to be written to."""
    folders = {}

    def folder(loss):
        if loss not in folders:
            out = tmp_path_factory.mktemp("finished") / loss
            folders[loss] = train(run_config(out, loss)).folder
        return folders[loss]

    return folder


@pytest.fixture
def finished(finished_run, tmp_path):
    """The configuration of a finished run that is this test's own."""
    shutil.copytree(finished_run("arcface").path, tmp_path / "run")
    return run_config(tmp_path / "run")
