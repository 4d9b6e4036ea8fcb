"""A backward pass that is interrupted moves an attached weight as a whole or not at all, or says that it did neither."""

import copy
import itertools
import linecache
import pickle
import sys
from pathlib import Path

import pytest
import torch
from torch.optim import SGD, AdamW

import gonio
from gonio import optimizer_in_backward
from gonio.engines import Chunked, Sampled
from gonio.optimizer_in_backward.step import Step

DIM, CLASSES, BATCH = 4, 20, 5
ROOM = str(Path(optimizer_in_backward.__file__).parent)
STRIDE = 29
HALF = r"head.weight: a backward pass .* interrupted"


class Training:
    def __init__(self, backend, make):
        torch.manual_seed(1)
        self.head = gonio.Head(DIM, CLASSES, loss="cosface", backend=backend, dtype=torch.float64)
        self.optimizer = make(self.head.parameters())
        self.head.attach_optimizer(self.optimizer)

    def run(self, *steps):
        for step in steps:
            random = torch.Generator().manual_seed(step)
            x = torch.randn(BATCH, DIM, dtype=torch.float64, generator=random)
            labels = torch.randint(0, CLASSES, (BATCH,), generator=random)
            self.optimizer.zero_grad()
            self.head(x, labels).backward()
            self.optimizer.step()
        return self

    def saved(self):
        state = copy.deepcopy((self.head.state_dict(), self.optimizer.state_dict()))
        return state[0]["weight"], state[1]["state"], state

    def load(self, state):
        self.optimizer.zero_grad()
        self.head.load_state_dict(state[0])
        self.optimizer.load_state_dict(copy.deepcopy(state[1]))  # it keeps what it is given


class CtrlC:
    """Comes after so many lines of the room's code."""

    def __init__(self, lines):
        self.left = lines

    def __enter__(self):
        self.before = sys.gettrace()
        sys.settrace(self.trace)

    def __exit__(self, kind, *_):
        sys.settrace(self.before)
        return kind is KeyboardInterrupt

    def trace(self, frame, event, _):
        if not frame.f_code.co_filename.startswith(ROOM):
            return None
        line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
        if event == "line" and "with " not in line:  # Python itself asks for signals within only
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return self.trace


def sgd(parameters):
    return SGD(parameters, lr=0.1, momentum=0.9, weight_decay=0.1)


def adamw(parameters):
    return AdamW(parameters, lr=0.01)


def is_same(found, truth):
    try:
        torch.testing.assert_close(found[:2], truth[:2], rtol=1e-12, atol=1e-12)
    except AssertionError:
        return False
    return True


BACKENDS = {"all": Chunked(7), "drawn": Sampled(0.4, Chunked(3))}
WAYS = [(backend, make) for backend in BACKENDS for make in (sgd, adamw)]


def interrupted(backend, make, line, act=lambda training: training.run(2)):
    training, key = Training(BACKENDS[backend], make).run(0, 1), CtrlC(line)
    with key:
        act(training)
    return training, key.left <= 0


@pytest.mark.parametrize(("backend", "make"), WAYS)
def test_ctrl_c_at_any_line_of_a_step(backend, make):
    before, after, end = (
        Training(BACKENDS[backend], make).run(*range(steps)).saved() for steps in (2, 3, 5)
    )
    refused = []
    for line in itertools.count(1, STRIDE):
        training, is_interrupted = interrupted(backend, make, line)
        if not is_interrupted:
            break
        try:
            found = training.saved()
        except RuntimeError as error:
            refused.append(str(error))
        else:
            assert any(is_same(found, whole) for whole in (before, after)), line
        training.load(before[2])
        assert is_same(training.run(2, 3, 4).saved(), end), line
    assert len(refused) > 5
    assert all("interrupted" in message for message in refused)


def test_ctrl_c_at_any_line_of_catching_up():
    whole = Training(BACKENDS["drawn"], sgd).run(0, 1).saved()
    refused = []
    for line in itertools.count(1, 7):
        training, is_interrupted = interrupted(
            "drawn", sgd, line, lambda training: training.head.catch_up()
        )
        if not is_interrupted:
            break
        try:
            found = training.saved()
        except RuntimeError as error:
            refused.append(str(error))
        else:
            assert is_same(found, whole), line
    assert len(refused) > 5
    assert all("interrupted" in message for message in refused)


def half(backend="all", make=sgd):
    """A training that was interrupted between two tiles."""
    training, take, calls = (
        Training(BACKENDS[backend], make).run(0, 1),
        Step.take,
        itertools.count(),
    )

    def interrupted_take(step, rows, gradient):
        take(step, rows, gradient)
        if next(calls) == 1:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Step, "take", interrupted_take)
        with pytest.raises(KeyboardInterrupt):
            training.run(2)
    return training


TOUCHES = {
    "read": lambda one: one.head.weight.sum(),
    "written in part": lambda one: one.head.weight.data[3:].zero_(),
    "state_dict": lambda one: one.head.state_dict(),
    "optimizer's state_dict": lambda one: copy.deepcopy(one.optimizer.state_dict()),
    "copied": lambda one: copy.deepcopy(one.head),
    "pickled optimizer": lambda one: pickle.dumps(one.optimizer),
    "logits": lambda one: one.head.logits(torch.ones(1, DIM)),
    "another step": lambda one: one.run(2),
    "attached again": lambda one: one.head.attach_optimizer(one.optimizer),
}


@pytest.mark.parametrize("touch", TOUCHES.values(), ids=TOUCHES)
def test_whoever_touches_half_a_step_is_told(touch):
    training = half()
    with pytest.raises(RuntimeError, match=HALF):
        touch(training)
    with pytest.raises(RuntimeError, match=HALF):
        training.head.catch_up()


def test_a_write_that_fails_mends_nothing():
    training = half()
    with pytest.raises(RuntimeError, match="size"):
        training.head.load_state_dict({"weight": torch.ones(2, 7)}, strict=False)
    with torch.no_grad(), pytest.raises(RuntimeError, match="size"):
        training.head.weight.copy_(torch.ones(2, 7))
    with pytest.raises(RuntimeError, match=HALF):
        training.head.catch_up()


@pytest.mark.parametrize(("backend", "make"), WAYS)
def test_a_weight_without_its_optimizer_is_no_whole(backend, make):
    saved = Training(BACKENDS[backend], make).run(0, 1).saved()[2]
    training = half(backend, make)
    training.head.load_state_dict(saved[0])
    assert torch.equal(training.head.weight, saved[0]["weight"])
    with pytest.raises(RuntimeError, match=HALF):
        training.run(2)
    training = half(backend, make)
    training.optimizer.load_state_dict(copy.deepcopy(saved[1]))
    with pytest.raises(RuntimeError, match=HALF):
        training.run(2)
    training.head.load_state_dict(saved[0])
    assert is_same(training.run(2).saved(), Training(BACKENDS[backend], make).run(0, 1, 2).saved())


ONES = torch.ones(CLASSES, DIM, dtype=torch.float64)
OVERWRITES = {
    "reset_parameters": lambda head: head.reset_parameters(),
    "load_state_dict": lambda head: head.load_state_dict({"weight": ONES}, strict=False),
    "copy_": lambda head: torch.no_grad()(head.weight.copy_)(ONES),
    "data": lambda head: setattr(head.weight, "data", ONES.clone()),
}


@pytest.mark.parametrize("overwrite", OVERWRITES.values(), ids=OVERWRITES)
def test_a_weight_that_is_overwritten_is_whole(overwrite):
    """Without momentum it is all there is."""
    training = half(make=lambda parameters: SGD(parameters, lr=0.1))
    overwrite(training.head)
    assert training.head.weight.isfinite().all()
    training.run(2)


@pytest.mark.parametrize(("backend", "make"), WAYS)
def test_detached_it_stays_as_it_is_with_a_warning(backend, make):
    before = Training(BACKENDS[backend], make).run(0, 1).head.weight
    after = Training(BACKENDS[backend], make).run(0, 1, 2).head.weight
    training = half(backend, make)
    with pytest.warns(UserWarning, match=r"head.weight: an interrupted backward pass"):
        training.head.detach_optimizer()
    is_before, is_after = (
        (training.head.weight - one).abs().amax(1) < 1e-12 for one in (before, after)
    )
    assert is_before.any()
    assert is_after.any()
    training.run(2, 3)


def test_what_fails_before_the_first_row_leaves_all_as_it_was(monkeypatch):
    training = Training(BACKENDS["all"], sgd).run(0, 1)
    whole = training.saved()

    def no_memory(*_):
        raise MemoryError("a tile")

    with monkeypatch.context() as patch:
        patch.setattr(Chunked, "pull", no_memory)
        with pytest.raises(MemoryError):
            training.run(2)
    assert is_same(training.saved(), whole)
    assert is_same(training.run(2).saved(), Training(BACKENDS["all"], sgd).run(0, 1, 2).saved())
