import json

import pytest

from gonio.base.durable import write_json, write_text
from gonio.train.loop import Metrics
from gonio.train.metrics_file import MetricsFile


def metrics(step):
    return Metrics(step, 1, 0.5, 0.25, 60.0, 0.1, 2.0)


def steps(path):
    return [json.loads(line)["step"] for line in path.read_text().splitlines()]


def test_metrics_beyond_the_step_to_go_on_from_are_dropped(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with MetricsFile(path, 0) as lines:
        for step in range(1, 6):
            lines.add(metrics(step), 100.0)
    with path.open("a") as file:
        file.write('{"step": 3, "lo')  # a crash in the middle of a line
    with MetricsFile(path, 3) as lines:
        assert steps(path) == [1, 2, 3]
        lines.add(metrics(4), 100.0)
    assert steps(path) == [1, 2, 3, 4]


def test_a_new_run_drops_all_metrics(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with MetricsFile(path, 0) as lines:
        lines.add(metrics(1), 100.0)
    MetricsFile(path, 0).__exit__(None, None, None)
    assert path.read_text() == ""


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
