"""What a run found, as JSON and as a table."""

import datetime
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
from pathlib import Path
from typing import Any

import torch
from benchmarks.bars import BARS
from benchmarks.contenders import CONTENDERS, FLOAT, FLOOR, Case
from benchmarks.measure import ratio

import gonio


def machine(device: str) -> dict[str, Any]:
    """What the figures depend on."""
    about: dict[str, Any] = {
        "processor": torch.cuda.get_device_name() if device == "cuda" else _processor(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "gonio": gonio.__version__,
        "date": datetime.date.today().isoformat(),
    }
    if shutil.which("git") is None:
        return about
    root = Path(__file__).parents[1]
    git = ["git", "-C", str(root), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True)
    return about | ({"commit": commit.stdout.strip()} if commit.returncode == 0 else {})


def _processor() -> str:
    """Its name, and the instructions that decide how fast products are."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    fields = {name.strip(): value.strip() for name, value in fields.items()}
    flags = fields.get("flags", "").split()
    notable = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags]
    family = "-".join(fields[name] for name in ("cpu family", "model") if name in fields)
    return " ".join([fields.get("model name", platform.machine()), family, *notable])


def times_of(case: Case, seconds: dict[str, list[float]]) -> dict[str, dict[str, Any]]:
    """Contender -> figures."""
    rows: dict[str, dict[str, Any]] = {}
    for name, found in seconds.items():
        rows[name] = {
            "median_seconds": statistics.median(found),
            "seconds": found,
            "score_bytes": FLOAT * case.batch * case.classes,
            "held_bytes": CONTENDERS[name].has(case),
        }
        if FLOOR in seconds:
            rows[name]["ratio"] = ratio(seconds, name)
    return rows


def add_memory(found: dict[str, Any], name: str, peaks: dict[int, float], why: str) -> None:
    """Of a contender, to the figures of a run: classes -> peak, and why some are missing."""
    for classes, rows in found["classes"].items():
        peak = peaks.get(int(classes))
        if peak is None:
            found["skipped"][classes][f"{name}, memory"] = why
        elif name in rows:
            rows[name] |= {"peak_bytes": peak, "extra_bytes": peak - rows[name]["held_bytes"]}


def table(classes: int, rows: dict[str, dict[str, Any]], skipped: dict[str, str]) -> str:
    """In Markdown, with who was skipped and why."""
    lines = [
        f"### {classes:,} classes",
        "",
        "| | median ms | times the floor | peak MB | of it extra |",
        "|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        peak, extra = (
            f"{row[key] / 1e6:,.0f}" if key in row else "" for key in ("peak_bytes", "extra_bytes")
        )
        times = f"{row['ratio']:.2f}" if "ratio" in row else ""
        time = f"{1e3 * row['median_seconds']:,.1f} | {times}"
        lines.append(f"| {name} | {time} | {peak} | {extra} |")
    if skipped:
        lines += ["", "Not measured:"]
        lines += [f"- {name}: {why}" for name, why in skipped.items()]
    return "\n".join(lines)


def bars(cases: dict[int, dict[str, dict[str, Any]]], device: str = "cpu") -> str:
    """In Markdown: every bar of the device and the sizes that were measured; empty without any."""
    lines = []
    for bar in BARS:
        if bar.device != device or bar.classes not in cases:
            continue
        limit = f"{'≥' if bar.is_least else '≤'} {bar.limit:.2f}"
        try:
            value = bar.measured(cases[bar.classes])
            verdict = f"{value:.2f} | {'met' if bar.is_met(value) else '**not met**'}"
        except KeyError:
            verdict = " | not measured"
        lines.append(f"| {bar.text} | {bar.classes:,} | {limit} | {verdict} |")
    head = ["| bar | classes | allowed | measured | |", "|---|---|---|---|---|"]
    return "\n".join([*head, *lines]) if lines else ""


def write(path: Path, found: dict[str, Any]) -> None:
    """Beside, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".partial")
    beside.write_text(json.dumps(found, indent=1) + "\n")
    beside.replace(path)


def slug(processor: str) -> str:
    """A file name for a machine."""
    return re.sub(r"[^a-z0-9]+", "-", processor.lower()).strip("-")
