"""Processes that are ended from outside while they train, and gone on with."""

import os
import signal
import subprocess
import sys
import time

import pytest

from cli.conftest import DIGITS, run

LONG = (*DIGITS, "--optimise.epochs", "6", "--log_every", "1")
STEPS = 66


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert run("train", *LONG, "--out", folder).code == 0
    return folder


def start(folder, checkpoint_every):
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "gonio",
            "train",
            *LONG,
            "--checkpoint_every",
            str(checkpoint_every),
            "--out",
            folder,
        ],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_lines(process, folder, count):
    """Until the run has logged so many steps."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        assert process.poll() is None, process.communicate()
        metrics = folder / "metrics.jsonl"
        if metrics.exists() and metrics.read_bytes().count(b"\n") >= count:
            return
        time.sleep(0.002)
    pytest.fail("the run does not get on")


def assert_same(folder, whole):
    for name in ("model.safetensors", "results.json"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes()
    left = [path.name for path in folder.rglob("*") if "part" in path.name]
    assert not left, "half of a file is left behind"


@pytest.mark.parametrize("count", [1, 30])
def test_a_killed_run_goes_on_to_the_same_end(gonio, whole, tmp_path, count):
    folder = tmp_path / "run"
    process = start(folder, 1)
    wait_for_lines(process, folder, count)
    process.kill()
    process.communicate()
    assert not (folder / "model.safetensors").exists()
    result = gonio("train", "--config", folder / "config.yaml", "--resume")
    assert result.code == 0, result.err
    assert_same(folder, whole)


def test_an_interrupted_run_saves_says_how_to_go_on_and_does(gonio, whole, tmp_path):
    folder = tmp_path / "run"
    process = start(folder, 1000)
    wait_for_lines(process, folder, 20)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert not out
    error = err.splitlines()[-1]
    assert error.startswith("gonio: error: stopped after step ")
    done = int(error.split("step ")[1].split()[0])
    assert 20 <= done < STEPS
    assert (folder / "checkpoints" / f"step-{done:09d}").is_dir()
    command = error.partition("go on with: gonio ")[2].split()
    assert gonio(*command).code == 0
    assert_same(folder, whole)
