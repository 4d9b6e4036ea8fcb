"""Class weights in parts, a batch in parts: processes come to the losses and gradients of one with all."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from columns.shards import CASES, alone

SCRIPT = """
import pathlib, sys
import torch, torch.distributed as dist
sys.path.insert(0, sys.argv[3])
from columns.shards import run
torch.set_num_threads(1)
rank, folder = int(sys.argv[1]), pathlib.Path(sys.argv[2])
given = torch.load(folder / "given.pt", weights_only=False)
size = len(given["shards"])
dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=size)
torch.save(run(given), folder / f"found{rank}.pt")
dist.destroy_process_group()
"""
LAYOUTS = {
    "two": ([6, 5], [5, 4]),
    "three, one with an empty batch": ([4, 4, 3], [3, 0, 6]),
    "three, one with no class": ([8, 3, 0], [1, 4, 4]),
}


@pytest.fixture(scope="module", params=LAYOUTS)
def ranks(request, tmp_path_factory):
    """What each process found, by layout."""
    shards, batches = LAYOUTS[request.param]
    folder = tmp_path_factory.mktemp("ranks")
    torch.save({"shards": shards, "batches": batches}, folder / "given.pt")
    run = [sys.executable, "-W", "ignore", "-c", SCRIPT]
    tests = str(Path(__file__).parents[1])
    jobs = [subprocess.Popen([*run, str(rank), str(folder), tests]) for rank in range(len(shards))]
    try:
        assert [job.wait(timeout=120) for job in jobs] == [0] * len(shards)
    finally:
        for job in jobs:
            job.kill()
            job.wait()
    return [torch.load(folder / f"found{rank}.pt") for rank in range(len(shards))]


@pytest.fixture(scope="module")
def whole():
    return alone()


@pytest.mark.parametrize("case", CASES, ids=", ".join)
def test_processes_come_to_the_numbers_of_one_with_everything(ranks, whole, case):
    parts = [rank[case] for rank in ranks]
    for key, value in whole[case].items():
        found = [part[key] for part in parts]
        if key.startswith("of") and len(value) == 1:
            together = sum(found)  # gradients in what all share are sums
        elif key.startswith("new") and len(value) == 1:
            assert all(torch.equal(one, found[0]) for one in found)
            together = found[0]
        else:
            together = torch.cat(found)
        torch.testing.assert_close(together, value, rtol=1e-10, atol=1e-11, msg=f"{key} of {case}")
