"""Processes that merge the states of a pool come to the same bits."""

from functools import reduce

import pytest
import torch

from gonio.ranks import Group, group
from gonio.rules import LogSumExp

POOL = LogSumExp()
SCORES = 20 * torch.randn(3, 500, 7, generator=torch.Generator().manual_seed(0))
STATES = [POOL.fold(scores) for scores in SCORES]


def merged_by(rank, monkeypatch):
    """What the process of a rank makes of the states of three."""
    process = object.__new__(Group)  # as no group of processes is there
    process.rank, process.size = rank, len(STATES)
    parts = iter(zip(*STATES, strict=True))
    monkeypatch.setattr(group, "_all_gathered", lambda *_: list(next(parts)))
    return process.merged(STATES[rank], POOL.merge)


def test_the_order_of_the_processes_decides_and_not_who_asks(monkeypatch):
    first, *others = [merged_by(rank, monkeypatch) for rank in range(len(STATES))]
    for other in others:
        assert all(map(torch.equal, first, other))
    backwards = reduce(POOL.merge, STATES[::-1])
    assert not torch.equal(backwards[1], first[1]), "another order has other bits"
    torch.testing.assert_close(backwards, first)


def test_the_merged_state_is_that_of_all_scores(monkeypatch):
    together = POOL.value(POOL.fold(torch.cat(list(SCORES), dim=1)))
    torch.testing.assert_close(POOL.value(merged_by(1, monkeypatch)), together)
    assert POOL.value(STATES[1]).sum() != pytest.approx(together.sum().item())
