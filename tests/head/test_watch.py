"""A weight in no optimizer is named in the first steps, and no other is."""

import copy
import warnings

import pytest
import torch

import gonio

NAMED = r"Head with a weight of \[11, 4\]: .* is in no optimizer"


def batch():
    return torch.randn(8, 4), torch.arange(8)


def stranger():
    weight = torch.ones(1, requires_grad=True)
    weight.grad = torch.ones(1)
    return torch.optim.SGD([weight], lr=0.1)


def train(head, optimizer, steps=3):
    for _ in range(steps):
        head(*batch()).backward()
        optimizer.step()


def test_a_weight_in_no_optimizer_is_named_once():
    head = gonio.Head(4, 11)
    with pytest.warns(UserWarning, match=NAMED):
        train(head, stranger(), steps=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(head, stranger())


def with_its_own(head):
    train(head, torch.optim.SGD(head.parameters(), lr=0.1))


def with_a_rate_of_zero(head):
    train(head, torch.optim.SGD(head.parameters(), lr=0.0))


def accumulating_beside_another(head):
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
    train(head, stranger(), steps=5)
    optimizer.step()


def only_watched(head):
    other = stranger()
    for _ in range(5):
        head(*batch()).detach()
        other.step()


def left_after_one_gradient(head):
    head(*batch()).backward()
    other = stranger()
    for _ in range(5):
        other.step()


def frozen(head):
    head.weight.requires_grad_(False)
    x = torch.randn(8, 4, requires_grad=True)
    for _ in range(3):
        head(x, torch.arange(8)).backward()
        stranger().step()


def as_a_copy(head):
    other = copy.deepcopy(head)
    train(other, torch.optim.AdamW(other.parameters()))


@pytest.mark.parametrize(
    "use",
    [
        with_its_own,
        with_a_rate_of_zero,
        accumulating_beside_another,
        only_watched,
        left_after_one_gradient,
        frozen,
        as_a_copy,
    ],
    ids=lambda use: use.__name__,
)
def test_nobody_else_is_warned(use):
    head = gonio.Head(4, 11)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        use(head)
