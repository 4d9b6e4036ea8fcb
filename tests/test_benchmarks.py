"""The benchmark runs, and what it compares is the same loss."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.bars import BARS  # noqa: E402
from benchmarks.contenders import CONTENDERS, Case  # noqa: E402
from benchmarks.measure import peaks_in_a_new_process, times  # noqa: E402
from benchmarks.report import bars  # noqa: E402
from benchmarks.small import PAIRS  # noqa: E402

ON_CPU = [name for name, one in CONTENDERS.items() if not one.needs_gpu and "compile" not in name]
SAME_LOSS = [name for name in ON_CPU if CONTENDERS[name].is_arcface]
TRAINED = [name for name in ON_CPU if "SGD" in name]


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


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS.keys())
def test_rivals_of_small_heads_compute_the_same_loss_and_gradients(pair):
    given = Case(classes=30, dim=16, batch=24).make()
    found, truth = pair.ours(given)(), pair.theirs(given)()
    if found["weight"].shape != truth["weight"].shape:  # (dim, classes)
        truth["weight"] = truth["weight"].T
    for key, value in truth.items():
        torch.testing.assert_close(found[key], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", TRAINED)
def test_contenders_that_train_move_the_weight_as_sgd_does(name):
    case = Case(classes=300, dim=16, batch=24)
    truth, given = case.make(), case.make()
    weight = torch.nn.Parameter(truth.weight)
    optimizer = torch.optim.SGD([weight], lr=1e-3, momentum=0.9)
    before = truth.weight.clone()
    step = CONTENDERS[name].make(given)
    for _ in range(3):
        weight.grad = CONTENDERS["plain eager"].make(truth)()["weight"]
        optimizer.step()
        step()
    moved = truth.weight - before
    # of the gradients above, in three steps; the weight, of about 1, is rounded to 1e-7
    tolerance = 0.03 if "bf16" in name else 1e-3
    assert (given.weight - before - moved).abs().amax() <= tolerance * moved.abs().amax() + 5e-7


def run(*arguments, module="benchmarks.heads"):
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


SIZES = ["--device", "cpu", "--classes", 200, "--dim", 16, "--batch", 8]


def test_a_run_times_everybody_and_writes_it_down(tmp_path):
    out = tmp_path / "found.json"
    gpu = [name for name, one in CONTENDERS.items() if one.needs_gpu]
    done = run(*SIZES, "--no-memory", "--rounds", 2, "--only", *ON_CPU, *gpu, "--out", out)
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())
    assert found["machine"]["torch"] == torch.__version__
    rows = found["classes"]["200"]
    assert list(rows) == ON_CPU
    assert rows["3 products"]["ratio"] == 1
    for name, row in rows.items():
        assert len(row["seconds"]) == 2
        assert min(row["seconds"]) > 0
        assert row["ratio"] > 0
        assert f"| {name} |" in done.stdout
    assert found["skipped"]["200"] == dict.fromkeys(gpu, "for GPUs alone")
    assert run("--markdown", out).stdout == done.stdout


def test_memory_is_found_and_what_is_held_by_kind_is_part_of_it(tmp_path):
    out = tmp_path / "found.json"
    sizes = ["--device", "cpu", "--classes", 10_000, "--dim", 512, "--batch", 256]
    names = ["stash", "recompute + attached SGD", "plain eager"]
    done = run(*sizes, "--rounds", 1, "--budget-seconds", 0, "--only", *names, "--out", out)
    assert done.returncode == 0, done.stderr
    rows = json.loads(out.read_text())["classes"]["10000"]
    gradient, matrix = 4 * 10_000 * 512, 4 * 10_000 * 256
    page = 2**20  # of numbers in resident pages, which the system counts by processor
    assert rows["stash"]["peak_bytes"] >= gradient + matrix - page
    assert rows["stash"]["extra_bytes"] == rows["stash"]["peak_bytes"] - gradient - matrix
    assert rows["recompute + attached SGD"]["peak_bytes"] >= gradient - page  # its momentum
    assert rows["plain eager"]["peak_bytes"] >= gradient + 2 * matrix - page  # of scores, at least


def test_who_fails_is_left_out_with_the_reason(monkeypatch):
    def fails(given):
        raise MemoryError("too little\nof it")

    broken = CONTENDERS["stash"].__class__(fails, lambda case: 0.0)
    monkeypatch.setitem(CONTENDERS, "broken", broken)
    case = Case(classes=20, dim=4, batch=3)
    found, failed = times(case, ["3 products", "broken"], 2, 0.0, lambda what: None)
    assert list(found) == ["3 products"]
    assert failed == {"broken": "MemoryError: too little"}
    assert peaks_in_a_new_process("nobody", [case]) == ({}, "KeyError: 'nobody'")


def test_small_heads_have_a_row_for_every_size():
    sizes = ["--classes", 20, 1000, "--dim", 4, "--threads", 1, "--rounds", 2]
    done = run(*sizes, module="benchmarks.small")
    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("| ")][1:]
    assert [row[0].strip("| ") for row in rows] == [name for name in PAIRS for _ in range(2)]
    assert [row[1] for row in rows] == ["20", "1,000"] * 2
    assert [row[-2] for row in rows] == ["≤ 1.0", "≤ 1.0", "≤ 2.5", "≤ 1.5"]


def test_a_name_that_nobody_has_is_refused():
    done = run(*SIZES, "--only", "stahs")
    assert done.returncode == 2
    assert "'stahs'" in done.stderr


def test_a_bar_that_is_missed_or_not_measured_says_so():
    rows = {"stash": {"ratio": 1.31}, "stash, bf16": {"ratio": 0.5}}
    text = bars({100_000: rows})
    assert "| stash, times 3 products | 100,000 | ≤ 1.30 | 1.31 | **not met** |" in text
    assert "| stash, bf16, times 3 products | 100,000 | ≤ 0.80 | 0.50 | met |" in text
    assert "| recompute, times 3 products | 100,000 | ≤ 1.55 |  | not measured |" in text
    assert "kernels" not in text


@pytest.mark.parametrize("bar", BARS, ids=lambda bar: f"{bar.text}, {bar.classes}")
def test_a_bar_reads_figures_that_a_run_has(bar):
    row = {"ratio": 1.0, "extra_bytes": 1.0, "score_bytes": 1e9}
    assert bar.measured(dict.fromkeys(CONTENDERS, row)) >= 0
