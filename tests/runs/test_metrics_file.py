import json
import warnings

import pytest

from gonio.runs.metrics_file import MetricsFile


def write(path, *steps):
    with MetricsFile(path, 0) as lines:
        for step in steps:
            lines.add({"step": step, "loss": 0.5})


def steps(path):
    return [json.loads(line)["step"] for line in path.read_text().splitlines()]


def test_lines_beyond_the_step_to_go_on_from_are_dropped(tmp_path):
    path = tmp_path / "metrics.jsonl"
    write(path, 1, 2, 3, 4, 5)
    with path.open("a") as file:
        file.write('{"step": 3, "lo')  # a crash in the middle of a line
    with warnings.catch_warnings(), MetricsFile(path, 3) as lines:
        warnings.simplefilter("error")
        assert steps(path) == [1, 2, 3]
        lines.add({"step": 4, "loss": 0.5})
    assert steps(path) == [1, 2, 3, 4]


def test_a_new_run_drops_all(tmp_path):
    path = tmp_path / "metrics.jsonl"
    write(path, 1, 2)
    write(path)
    assert path.read_text() == ""


@pytest.mark.parametrize("damage", [b'{"step": 2, "lo', b"hello", b"\xff\xfe", b"[" * 10_000])
def test_a_damaged_line_in_the_middle_is_named_and_kept(tmp_path, damage):
    path = tmp_path / "metrics.jsonl"
    write(path, 1, 2, 3, 4)
    first, _, third, _ = path.read_bytes().splitlines()
    before = b"\n".join((first, damage, third, b""))
    path.write_bytes(before + b'{"step": 4}\n')
    with pytest.warns(UserWarning, match=r"metrics\.jsonl: line 2 is damaged"):
        MetricsFile(path, 3).__exit__(None, None, None)
    assert path.read_bytes() == before
