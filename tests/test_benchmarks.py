"""The benchmark runs, and what it compares is the same loss."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.contenders import CONTENDERS, Case  # noqa: E402

SAME_LOSS = [name for name, one in CONTENDERS.items() if one.is_arcface and "compile" not in name]


@pytest.mark.parametrize("name", SAME_LOSS)
def test_contenders_compute_the_same_loss_and_gradients(name):
    given = Case(classes=300, dim=16, batch=24).make()
    truth = CONTENDERS["plain eager"].make(given)()
    found = CONTENDERS[name].make(given)()
    if found["weight"].shape != truth["weight"].shape:  # (dim, classes)
        found["weight"] = found["weight"].T
    # float32 rounds scores of up to 64 to 4e-6; bfloat16 products are right to 2^-8 of their size
    tolerance = 0.03 if "bf16" in name else 2e-5
    for key, value in truth.items():
        error = (found[key] - value).abs().amax()
        assert error <= tolerance * value.abs().amax(), key


def test_a_run_measures_everybody_and_writes_it_down(tmp_path):
    out = tmp_path / "found.json"
    names = ["stash", "recompute + attached SGD", "pytorch-metric-learning"]
    sizes = ["--classes", "300", "--dim", "16", "--batch", "8"]
    command = [sys.executable, "-m", "benchmarks.heads", *sizes, "--only", *names, "--out", out]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = json.loads(out.read_text())
    assert found["machine"]["torch"] == torch.__version__
    rows = found["classes"]["300"]
    assert set(rows) == {"3 products", *names}
    assert rows["3 products"]["ratio"] == 1
    for name in names:
        assert rows[name]["median_seconds"] > 0
        assert rows[name]["peak_bytes"] >= 0
        assert f"| {name} |" in run.stdout
    again = [sys.executable, "-m", "benchmarks.heads", "--markdown", out]
    assert subprocess.check_output(again, cwd=ROOT, text=True) == run.stdout


def test_a_bar_that_is_missed_says_so():
    from benchmarks.report import bars

    rows = {"stash": {"ratio": 1.31}, "stash, bf16": {"ratio": 0.5}}
    text = bars({100_000: rows})
    assert "| stash, times 3 products | 100,000 | ≤ 1.30 | 1.31 | **not met** |" in text
    assert "| stash, bf16, times 3 products | 100,000 | ≤ 0.80 | 0.50 | met |" in text
