"""What a loss keeps between batches: when it may change, and how it is saved, moved and loaded."""

import copy
import pickle

import pytest
import torch

from gonio import losses
from rules.heads import data, head_of

STATEFUL = [
    "curricularface",
    "adaface",
    "adacos",
    "kappaface",
    "center-loss",
    "adaptiveface",
    "elastic-arcface",
    "elastic-cosface",
    "logit-adjustment",
    "ldam",
    "dynamic-arcface",
]


def buffers(head):
    return {name: value.clone() for name, value in head.named_buffers() if name != "step"}


@pytest.mark.parametrize("name", STATEFUL)
def test_nothing_changes_outside_training(name):
    head = head_of(name)
    head(*data())
    before, step = buffers(head), head.step.item()
    with torch.no_grad():
        head(*data(seed=2))
    head.eval()(*data(seed=3)).backward()
    head.logits(data()[0])
    head.measure(*data())
    assert head.step.item() == step
    for name, value in buffers(head).items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize("name", STATEFUL)
@pytest.mark.parametrize("backend", ["reference", "chunked"])
def test_what_is_kept_is_saved_copied_and_loaded(name, backend):
    head = head_of(name, backend=backend)
    for seed in range(3):
        head(*data(seed=seed))
    other = head_of(name, backend=backend)
    other.load_state_dict(head.state_dict())
    twin = copy.deepcopy(head)
    assert set(head.state_dict()) >= set(dict(head.named_parameters())) | set(buffers(head))
    wanted = head(*data(seed=9))
    for one in (other, twin):
        assert torch.equal(one(*data(seed=9)), wanted)
        for key, value in head.state_dict().items():
            assert torch.equal(one.state_dict()[key], value)


@pytest.mark.parametrize("name", STATEFUL)
def test_a_head_pickles_with_what_it_keeps(name):
    head = head_of(name)
    head(*data())
    twin = pickle.loads(pickle.dumps(head))
    assert torch.equal(twin(*data(seed=9)), head(*data(seed=9)))


@pytest.mark.parametrize("name", STATEFUL)
def test_what_is_kept_moves_with_the_head(name):
    head = head_of(name, dtype=torch.float32).to("meta")
    kept = [*head.parameters(), *head.buffers()]
    assert {value.device.type for value in kept} == {"meta"}
    head = head_of(name, dtype=torch.float32).to(torch.float64)
    floating = [value for value in head.state_dict().values() if value.is_floating_point()]
    assert {value.dtype for value in floating} == {torch.float64}
    loss = head(*data())
    assert loss.dtype == torch.float64
    loss.backward()


@pytest.mark.parametrize("name", losses.names())
@pytest.mark.parametrize("backend", ["reference", "chunked"])
def test_two_batches_before_one_backward(name, backend):
    head = head_of(name, backend=backend)
    twin = copy.deepcopy(head)
    batches = [data(seed=seed) for seed in (1, 2)]
    for x, _ in batches:
        x.requires_grad_()
    sum(head(*one) for one in batches).backward()
    together = [x.grad for x, _ in batches]
    for (x, labels), grad in zip(batches, together, strict=True):
        x.grad = None
        twin(x, labels).backward()
        torch.testing.assert_close(grad, x.grad)
    for one, other in zip(head.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)
