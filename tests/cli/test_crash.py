"""Processes that are ended from outside while they train, and gone on with."""

import os
import pty
import shutil
import signal
import subprocess
import sys
import time

import pytest

from cli.conftest import DIGITS, run
from gonio.train import read_result

LONG = (*DIGITS, "--optimise.epochs", "6", "--log_every", "1")
STEPS = 72


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert run("train", *LONG, "--out", folder).code == 0
    return folder


def start(folder, checkpoint_every, *more):
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
            *more,
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
    weights = "model.safetensors"
    assert (folder / weights).read_bytes() == (whole / weights).read_bytes()
    assert read_result(folder / "results.json").report == read_result(whole / "results.json").report
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_an_interrupted_run_saves_says_how_to_go_on_and_does(gonio, whole, tmp_path, number):
    folder = tmp_path / "run"
    process = start(folder, 1000)
    wait_for_lines(process, folder, 20)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert not out
    error = err.splitlines()[-1]
    assert error.startswith("gonio: error: stopped after step ")
    done = int(error.split("step ")[1].split()[0])
    assert 20 <= done < STEPS
    assert (folder / "checkpoints" / f"step-{done:09d}").is_dir()
    command = error.partition("go on with: gonio ")[2].split()
    assert gonio(*command).code == 0
    assert_same(folder, whole)


def test_a_run_whose_terminal_is_closed_is_saved(tmp_path):
    """What it shows can no longer be written, and a hang-up is sent: neither may cost the state."""
    folder = tmp_path / "run"
    child, terminal = pty.fork()
    if not child:
        words = ("train", *LONG, "--checkpoint_every", "1000", "--out", str(folder))
        os.execv(sys.executable, [sys.executable, "-m", "gonio", *words])
    end = time.monotonic() + 60
    while (
        not (folder / "metrics.jsonl").exists() or (folder / "metrics.jsonl").stat().st_size < 600
    ):
        assert time.monotonic() < end
        time.sleep(0.01)
    os.close(terminal)
    os.waitpid(child, 0)
    assert list((folder / "checkpoints").glob("step-*"))


def test_a_run_that_is_being_made_longer_is_held_and_when_killed_says_so(
    gonio, refused, whole, tmp_path
):
    folder = shutil.copytree(whole, tmp_path / "run")
    process = start(folder, 1000, "--resume", "--optimise.epochs", "100000")
    wait_for_lines(process, folder, STEPS + 5)
    try:
        for more in ((), ("--resume",)):
            error = refused(4, "train", *LONG, "--out", folder, *more)
            assert f"{folder}: process {process.pid} on" in error
    finally:
        process.kill()
        process.communicate()
    result = gonio("evaluate", folder)
    assert result.code == 0
    assert f"{folder} is not finished: its model is that of step {STEPS} of 1200000" in result.err
    assert read_result(folder / "results.json") == read_result(whole / "results.json")
