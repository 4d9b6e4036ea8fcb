"""Time of contenders, interleaved in one process; peak memory of each, in a process of its own."""

import gc
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import torch
from benchmarks.contenders import CONTENDERS, FLOOR, Case, Contender, Step, release, workspace

LEAST_ROUNDS = 3


def seconds(step: Step, device: str) -> float:
    """Of one call."""
    release()
    if device == "cuda":
        torch.cuda.synchronize()
    begin = time.perf_counter()
    step()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def times(
    case: Case, names: list[str], least: int, budget: float, tell: Callable[[str], None]
) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Seconds of every contender in every round, in which each of them is called once.

    Rounds go on while there were fewer than `least`, or another is likely to end within `budget` seconds.
    Who fails is left out, with the reason.
    """
    given = case.make()
    found: dict[str, list[float]] = {}
    failed: dict[str, str] = {}
    steps: dict[str, Step] = {}
    for name in names:
        try:
            steps[name] = CONTENDERS[name].make(given)
        except Exception as error:  # the others go on
            failed[name] = reason(error)
    for name, step in steps.items():
        tell(f"{name}: warm-up")
        try:
            if CONTENDERS[name].is_warmed_up:
                seconds(step, case.device)
            found[name] = []
        except Exception as error:
            failed[name] = reason(error)
    begin, rounds = time.perf_counter(), 0
    while rounds < max(1, least) or (time.perf_counter() - begin) * (1 + 1 / rounds) < budget:
        for name in list(found):
            tell(f"{name}: round {rounds + 1}")
            try:
                found[name].append(seconds(steps[name], case.device))
            except Exception as error:
                failed[name] = reason(error)
                del found[name]
        rounds += 1
    return found, failed


def reason(error: Exception) -> str:
    """In one line, without paths."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__


def ratio(found: dict[str, list[float]], name: str) -> float:
    """Median over the rounds of the time beside the floor's of the same round."""
    pairs = zip(found[name], found[FLOOR], strict=True)
    return statistics.median(own / floor for own, floor in pairs)


def peaks_in_a_new_process(name: str, cases: list[Case]) -> tuple[dict[int, float], str]:
    """Classes -> bytes that a call takes at most, beside the numbers that it is given.

    And why some of the cases are missing; empty where none is.
    """
    code = "import sys; from benchmarks.measure import print_peaks; print_peaks(*sys.argv[1:])"
    arguments = [name, json.dumps([asdict(case) for case in cases])]
    root = Path(__file__).parents[1]
    command = [sys.executable, "-c", code, *arguments]
    # what is freed goes back to the system at once, or the next call would be served from it unseen
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": str(2**17)}
    run = subprocess.run(command, capture_output=True, text=True, cwd=root, env=environment)
    lines = [line.split() for line in run.stdout.splitlines() if line.startswith(PEAK)]
    peaks = {int(classes): float(peak) for _, classes, peak in lines}
    errors = run.stderr.strip().splitlines()
    failed = errors[-1][:200] if errors else f"ended with {run.returncode}"
    return peaks, failed if run.returncode else ""


PEAK = "peak:"


def print_peaks(name: str, cases: str) -> None:
    """In this process, which must be new: the peak of each case, the smallest first."""
    contender = CONTENDERS[name]
    sizes = [Case(**case) for case in json.loads(cases)]
    if contender.is_warmed_up:
        # just the scores from which loops are compiled, to load libraries and compile
        case = sizes[0]
        contender.make(replace(case, classes=2**24 // case.batch + 1).make())()
    for case in sizes:
        workspace.cache_clear()
        gc.collect()
        print(PEAK, case.classes, peak(contender, case), flush=True)


def peak(contender: Contender, case: Case) -> float:
    """Bytes of one call."""
    step = contender.make(case.make())
    if case.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        return torch.cuda.max_memory_allocated() - before
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
    step()
    return _status("VmHWM") - before


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024
