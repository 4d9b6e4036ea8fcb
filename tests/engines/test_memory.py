"""A million classes: what a step takes beyond a bare interpreter with torch, in bytes that were touched."""

import subprocess
import sys

import pytest

ROOM = 9e9


def available():
    """Bytes that a new process may take, 0 where nobody tells."""
    try:
        with open("/proc/meminfo") as lines:
            return next(int(line.split()[1]) for line in lines if "MemAvailable" in line) * 1024
    except OSError:
        return 0


STEP = """
import sys, torch
torch.set_num_threads(2)

def peak():
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024

bare = peak()
import gonio
from gonio.engines import Chunked

head = gonio.Head(512, 1_000_000, loss="arcface", backend=Chunked(mode="recompute"))
optimizer = torch.optim.SGD(head.parameters(), lr=0.1, momentum=0.9)
if sys.argv[1] == "attached":
    head.attach_optimizer(optimizer)
before = head.weight[::1000].detach().clone()
x, labels = torch.randn(64, 512), torch.arange(64) * 1000
for _ in range(2):
    optimizer.zero_grad()
    head(x, labels).backward()
    optimizer.step()
assert (head.weight[::1000] != before).any(dim=1).all()
assert optimizer.state[head.weight]["momentum_buffer"].shape == head.weight.shape
print(peak() - bare)
"""


@pytest.mark.skipif(available() < ROOM, reason="needs Linux with 9 GB to spare")
@pytest.mark.parametrize(("how", "limit"), [("ordinary", 6.5e9), ("attached", 4.5e9)])
def test_a_million_classes_train_a_step(how, limit):
    """The weight is 2.05 GB, and so is its momentum, and its gradient where there is one."""
    run = subprocess.run(
        [sys.executable, "-c", STEP, how], capture_output=True, text=True, check=True
    )
    peak = int(run.stdout)
    assert 4.1e9 < peak < limit
