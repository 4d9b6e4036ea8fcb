"""Two real processes, each with samples of its own: do their class weights stay the same?"""

import json
import subprocess
import sys

import pytest

SCRIPT = """
import json, sys, warnings
import torch, torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
import gonio
rank, folder = int(sys.argv[1]), sys.argv[2]
torch.set_num_threads(1)
dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)

class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.backbone, self.head = torch.nn.Linear(4, 4), gonio.Head(4, 6)
    def forward(self, x, labels):
        return self.head(self.backbone(x), labels)

def steps(model, parameters):
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for step in range(4):
            torch.manual_seed(2 * step + rank)
            optimizer.zero_grad()
            model(torch.randn(6, 4), torch.arange(6)).backward()
            optimizer.step()
    return [str(one.message) for one in caught if "ranks" in str(one.message)]

whole = Model()
found = [steps(DistributedDataParallel(whole), whole.parameters())]
apart = Model()
apart.backbone = DistributedDataParallel(apart.backbone)
found.append(steps(apart, apart.parameters()))
dist.destroy_process_group()
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What each process was warned of: within one wrapper, and with the head beside it."""
    folder = tmp_path_factory.mktemp("ranks")
    jobs = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(rank), str(folder)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    try:
        return [json.loads(job.communicate(timeout=60)[0]) for job in jobs]
    finally:
        for job in jobs:
            job.kill()
            job.wait()


def test_a_head_beside_the_wrapper_is_told_that_its_classes_drift_apart(said):
    for _, beside in said:
        assert "head.weight: it differs between the 2 ranks" in beside[0]
        assert "DistributedDataParallel" in beside[0]


def test_a_head_within_the_wrapper_is_told_nothing(said):
    assert [within for within, _ in said] == [[], []]
