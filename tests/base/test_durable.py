import errno
import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from gonio.base.durable import replacing, write_json, write_tensors, write_text


def test_who_reads_while_it_is_written_reads_the_old_file_whole(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with path.open() as reader:
        write_text(path, "new")
        assert reader.read() == "old"
    assert path.read_text() == "new"


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.json"
    write_text(path, "old")
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"x": float("nan")})
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "half \ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_an_error_of_the_disk_names_the_file_that_the_user_knows(tmp_path, monkeypatch, call):
    def fail(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)) as caught:
        write_text(tmp_path / "a.txt", "new")
    assert caught.value.filename == str(tmp_path / "a.txt")
    assert not list(tmp_path.iterdir())


def test_an_error_that_is_not_of_the_disk_stays_what_it_is(tmp_path):
    """A library that cannot write a format raises an OSError without a number."""
    with pytest.raises(OSError, match="cannot write mode") as caught, replacing(tmp_path / "a"):
        raise OSError("cannot write mode F as PNG")
    assert caught.value.filename is None


def test_what_a_killed_writer_left_is_removed_by_the_next_one_and_a_living_one_is_let_be(tmp_path):
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    dead, living = (tmp_path / f".a.txt.{pid}.part" for pid in (done.pid, os.getppid()))
    other = tmp_path / ".another.txt.part"
    for path in (dead, living, other):
        path.write_text("half")
    write_text(tmp_path / "a.txt", "whole")
    assert {path.name for path in tmp_path.iterdir()} == {"a.txt", living.name, other.name}


def test_tensors_that_share_memory_are_written_each_for_itself(tmp_path):
    whole = torch.arange(6.0)
    shared = {"whole": whole, "again": whole, "part": whole[2:4]}
    write_tensors(tmp_path / "x.safetensors", shared)
    found = load_file(tmp_path / "x.safetensors")
    assert all(torch.equal(found[name], shared[name]) for name in shared)


def test_a_name_that_is_no_text_comes_back_from_json(tmp_path):
    name = os.fsdecode(b"caf\xe9")
    write_json(tmp_path / "a.json", [name, "café"])
    assert json.loads((tmp_path / "a.json").read_bytes()) == [name, "café"]
    assert "café" in (tmp_path / "a.json").read_text()
