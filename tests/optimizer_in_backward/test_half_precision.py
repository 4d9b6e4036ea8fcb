"""An attached weight in half precision takes steps that are below its last place, on average and in full."""

import copy
import itertools
import math

import pytest
import torch
from torch.optim import SGD, AdamW

import gonio
from gonio.engines import Chunked, Sampled
from gonio.optimizer_in_backward.rounding import Rounding


def rounding(step=0):
    return Rounding(step, torch.device("cpu"))


@pytest.mark.parametrize("number", [1.001, -1.001, 3.1e-8, -2e-40, 1.9999, 0.0, 5.0])
def test_rounding_goes_to_a_neighbour_and_is_right_on_average(number):
    many = torch.full((200_001,), number)
    found = rounding()(many, torch.bfloat16)
    low, high = found.min(), found.max()
    assert low <= number <= high
    assert torch.equal(torch.nextafter(low, high), high) or low == high
    gap = float(high) - float(low)
    # 5 standard errors of a mean of two values
    assert abs(float(found.double().mean()) - float(many[0])) <= 2.5 * gap / math.sqrt(len(many))


def test_rounding_keeps_what_is_no_number_and_does_not_make_one_infinite():
    largest, all_ones = torch.finfo(torch.bfloat16).max, torch.tensor(2**31 - 1, dtype=torch.int32)
    odd = torch.tensor(
        [torch.inf, -torch.inf, torch.nan, all_ones.view(torch.float32), largest, -0.0]
    )
    found = rounding()(odd, torch.bfloat16)
    torch.testing.assert_close(found.float(), odd, equal_nan=True, rtol=0, atol=0)
    assert torch.signbit(found[-1])


def test_rounding_is_the_same_at_the_same_step_and_another_at_another():
    numbers = torch.linspace(-3, 3, 1000)
    first, again, other = (rounding(step)(numbers, torch.bfloat16) for step in (7, 7, 8))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


DIM, CLASSES, BATCH = 16, 200, 32
MAKES = {
    "sgd": lambda p: SGD(p, lr=1e-4, momentum=0.9, weight_decay=1e-3),
    "adamw": lambda p: AdamW(p, lr=1e-4),
}


def attached(dtype, backend, make):
    torch.manual_seed(1)
    head = gonio.Head(DIM, CLASSES, loss="cosface", backend=backend, dtype=dtype)
    with torch.no_grad():
        head.weight.copy_((torch.randn(CLASSES, DIM) / 4).bfloat16())
    optimizer = make(head.parameters())
    head.attach_optimizer(optimizer)
    return head, optimizer


def run(head, optimizer, steps):
    for step in steps:
        random = torch.Generator().manual_seed(step)
        x = torch.randn(BATCH, DIM, generator=random)
        head(x, torch.randint(0, CLASSES, (BATCH,), generator=random)).backward()
        optimizer.step(), optimizer.zero_grad()


@pytest.mark.parametrize("backend", [Chunked(64), Sampled(0.3, Chunked(64))], ids=["all", "drawn"])
@pytest.mark.parametrize("make", MAKES.values(), ids=MAKES)
def test_steps_below_the_last_place_are_kept(make, backend):
    """Along the way of a float32 weight; rounded to the nearest it was 0.07 of it."""
    ways = []
    for dtype in (torch.float32, torch.bfloat16):
        head, optimizer = attached(dtype, backend, make)
        start = head.weight.detach().float().clone()
        run(head, optimizer, range(30))
        ways.append(head.weight.detach().float() - start)
    share = (ways[0] * ways[1]).sum() / ways[0].square().sum()
    assert float(share) == pytest.approx(1, abs=0.2)
    state = optimizer.state[head.weight].values()
    assert {one.dtype for one in state if one.shape == start.shape} == {torch.bfloat16}


def test_the_draws_of_a_step_are_its_own():
    """Else the same numbers would be rounded up at each step, and the others never."""
    head, optimizer = attached(torch.bfloat16, Chunked(64), MAKES["adamw"])
    seen = [head.weight.detach().clone()]
    for step in range(2):
        run(head, optimizer, [step])
        seen.append(head.weight.detach().clone())
    first, second = (after != before for before, after in itertools.pairwise(seen))
    assert 0.5 < float(first.float().mean() / second.float().mean()) < 2
    assert float((first & second).float().mean() / first.float().mean()) < 0.5


def test_a_mean_of_squares_is_kept_where_its_change_is_below_the_last_place():
    """0.999 v + 0.001 g^2 with next to no g: rounded to the nearest, a v of 1 stands still."""
    head, optimizer = attached(torch.bfloat16, Chunked(64), MAKES["adamw"])
    run(head, optimizer, range(1))
    squares = optimizer.state[head.weight]["exp_avg_sq"].fill_(1.0)
    run(head, optimizer, range(20))
    assert float(squares.float().mean()) == pytest.approx(0.999**20, rel=0.002)


def test_many_equal_samples_pull_as_one():
    """Their sum is made in float32: in bfloat16, equal terms stop to add up at 256."""
    moved = []
    for kind, n in ((torch.float32, 1), (torch.bfloat16, 4000)):
        torch.manual_seed(1)
        head = gonio.Head(4, 6, loss="cosface", backend=Chunked(2), dtype=kind)
        with torch.no_grad():
            head.weight.copy_(torch.ones(6, 4) + torch.eye(6, 4))
        optimizer = SGD(head.parameters(), lr=0.5)
        head.attach_optimizer(optimizer)
        before = head.weight.detach().clone()
        x = torch.tensor([[1.0, 2.0, -1.0, 0.5]]).expand(n, 4)
        head(x, torch.zeros(n, dtype=torch.int64)).backward()
        moved.append((head.weight.detach() - before)[0].norm().item())
    assert moved[1] == pytest.approx(moved[0], rel=0.05)


def test_a_resumed_head_rounds_as_one_that_went_on():
    whole = attached(torch.bfloat16, Sampled(0.3), MAKES["sgd"])
    resumed = attached(torch.bfloat16, Sampled(0.3), MAKES["sgd"])
    run(*whole, range(3))
    for one, other in zip(resumed, whole, strict=True):
        one.load_state_dict(copy.deepcopy(other.state_dict()))
    for one in (whole, resumed):
        run(*one, range(3, 6))
    assert torch.equal(whole[0].weight, resumed[0].weight)
