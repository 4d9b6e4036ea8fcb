"""Two real processes come to the statistics, and to the losses, of one with the whole batch."""

import subprocess
import sys

import pytest
import torch

import gonio
from gonio import losses

SCRIPT = """
import pathlib, sys
import gonio, torch, torch.distributed as dist
torch.set_num_threads(1)
rank, folder = int(sys.argv[1]), pathlib.Path(sys.argv[2])
dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
given = torch.load(folder / "given.pt", weights_only=False)
found = {}
for name, (args, keywords, state) in given["heads"].items():
    head = gonio.Head(*args, **keywords)
    head.load_state_dict(state)
    for step, (sizes, x, labels) in enumerate(given["batches"]):
        rows = slice(0, sizes[0]) if rank == 0 else slice(sizes[0], None)
        x = x[rows].clone().requires_grad_()
        per_sample = head(x, labels[rows], reduction="none")
        per_sample.sum().backward()
        kept = {key: value.clone() for key, value in head.named_buffers()}
        found[name, step] = per_sample.detach(), kept, x.grad
    found[name, "gradient"] = {key: one.grad for key, one in head.named_parameters()}
torch.save(found, folder / f"found{rank}.pt")
dist.destroy_process_group()
"""

LOSSES = {
    "curricularface": losses.curricularface(momentum=0.5, scale=8.0),
    "adaface": losses.adaface(momentum=0.5, scale=8.0),
    "adacos": losses.adacos(),
    "kappaface": losses.kappaface(every=1, scale=8.0),
    "kappaface of two batches": losses.kappaface(every=2, scale=8.0),
    "center-loss": losses.center_loss(weight=0.1),
    "elastic-arcface": losses.elastic_arcface(scale=8.0),
    "elastic-cosface, hardest": losses.elastic_cosface(order="hardest", scale=8.0),
    "elastic-cosface, published": losses.elastic_cosface(order="published", scale=8.0),
}
MEETING = {
    "supcon": losses.supcon(temperature=0.2),
    "infonce": losses.infonce(temperature=0.2),
    "uss": losses.uss(scale=8.0),
    "proxy-anchor": losses.proxy_anchor(scale=8.0),
    "hm-softmax": losses.get("hm-softmax").loss(keep=0.5),
}
"""Samples meet those of all ranks."""
EVERY = LOSSES | MEETING
SIZES = [(5, 3), (0, 8), (8, 0), (1, 1), (0, 0), (5, 3)]
IGNORED = 5
"""In the last batch all rows of the second rank are ignored."""


def recipes():
    """What a head is made from, and its first state."""
    torch.manual_seed(3)
    more = {
        "dtype": torch.float64,
        "ignore_index": -1,
        "class_counts": torch.arange(1, 7),
        "backend": "chunked",
    }
    return {
        name: ((4, 6, loss), more, gonio.Head(4, 6, loss, **more).state_dict())
        for name, loss in EVERY.items()
    }


def heads():
    for name, (args, keywords, state) in recipes().items():
        head = gonio.Head(*args, **keywords)
        head.load_state_dict(state)
        yield name, head


def batches():
    generator = torch.Generator().manual_seed(4)
    for step, sizes in enumerate(SIZES):
        x = 3 * torch.randn(sum(sizes), 4, generator=generator, dtype=torch.float64)
        labels = torch.randint(0, 6, (sum(sizes),), generator=generator)
        if step == IGNORED:
            labels[sizes[0] :] = -1
        yield sizes, x, labels


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    torch.save({"heads": recipes(), "batches": list(batches())}, folder / "given.pt")
    run = [sys.executable, "-c", SCRIPT]
    both = [subprocess.Popen([*run, str(rank), str(folder)]) for rank in (0, 1)]
    try:
        codes = [process.wait(timeout=60) for process in both]
    finally:
        for process in both:
            process.kill()
            process.wait()
    assert codes == [0, 0]
    return [torch.load(folder / f"found{rank}.pt", weights_only=False) for rank in (0, 1)]


@pytest.fixture(scope="module")
def alone():
    found = {}
    for name, head in heads():
        for step, (_, x, labels) in enumerate(batches()):
            x = x.clone().requires_grad_()
            per_sample = head(x, labels, reduction="none")
            per_sample.sum().backward()
            kept = {key: value.clone() for key, value in head.named_buffers()}
            found[name, step] = per_sample.detach(), kept, x.grad
        found[name, "gradient"] = {key: one.grad for key, one in head.named_parameters()}
    return found


@pytest.mark.parametrize("step", range(len(SIZES)), ids=str)
@pytest.mark.filterwarnings("ignore:labels. no two")
@pytest.mark.parametrize("name", EVERY)
def test_statistics_and_losses_are_those_of_the_whole_batch(ranks, alone, name, step):
    losses_of_all, kept, gradient = alone[name, step]
    parts, gradients = ([rank[name, step][i] for rank in ranks] for i in (0, 2))
    assert tuple(map(len, parts)) == SIZES[step]
    torch.testing.assert_close(torch.cat(parts), losses_of_all, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(torch.cat(gradients), gradient, rtol=1e-9, atol=1e-11)
    for rank in ranks:
        found = rank[name, step][1]
        assert found.keys() == kept.keys()
        for key, value in kept.items():
            torch.testing.assert_close(found[key], value, rtol=1e-10, atol=1e-12)
            torch.testing.assert_close(found[key], ranks[0][name, step][1][key], rtol=0, atol=0)


@pytest.mark.parametrize("name", EVERY)
def test_gradients_add_up_to_those_of_the_whole_batch(ranks, alone, name):
    for key, gradient in alone[name, "gradient"].items():
        total = sum(rank[name, "gradient"][key] for rank in ranks)
        torch.testing.assert_close(total, gradient, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", LOSSES)
def test_statistics_do_move(alone, name):
    kept = {key: value for key, value in alone[name, 0][1].items() if key != "step"}
    start = dict(dict(heads())[name].named_buffers())
    is_drawn = name.startswith("elastic")
    assert any(not torch.equal(value, start[key]) for key, value in kept.items()) != is_drawn
