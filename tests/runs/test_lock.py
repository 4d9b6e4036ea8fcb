import os
import signal
import subprocess
import sys

import pytest

from gonio.base.errors import CheckpointError
from gonio.runs.lock import locked

HOLD = """
import pathlib, sys
from gonio.runs.lock import locked

with locked(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(folder):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"held\n"
    return process


def test_one_process_holds_a_folder_and_who_comes_second_is_told_which(tmp_path):
    process = holder(tmp_path)
    message = f"{tmp_path}: process {process.pid} on {os.uname().nodename} is training there"
    with pytest.raises(CheckpointError, match=message), locked(tmp_path):
        pass
    process.communicate()
    with locked(tmp_path):
        pass


def test_a_killed_process_holds_nobody_up(tmp_path):
    process = holder(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with locked(tmp_path):
        pass


def test_a_process_does_not_hold_a_folder_twice(tmp_path):
    with locked(tmp_path), pytest.raises(CheckpointError), locked(tmp_path):
        pass
