from itertools import chain, islice

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gonio.train.order import Order

SIZES, SEEDS = st.integers(2, 20), st.integers(0, 2**63 - 1)
LABELS = st.lists(st.integers(0, 6), min_size=1, max_size=60).map(torch.tensor)
"""Some identities have many images, some one, some none."""


def order(count, size, seed):
    return Order(torch.zeros(count, dtype=torch.int64), size, 1, seed)


def taken(order, start, steps):
    return [batch.tolist() for batch in islice(order.since(start), steps)]


@given(LABELS, SIZES, SEEDS)
def test_an_epoch_sees_every_image_once_in_batches_of_nearly_one_size(labels, size, seed):
    epoch = taken(one := Order(labels, size, 1, seed), 0, one.per_epoch)
    assert sorted(chain.from_iterable(epoch)) == list(range(len(labels)))
    sizes = {len(batch) for batch in epoch}
    assert max(sizes) <= min(sizes) + 1
    assert max(sizes) <= max(size, 3)
    assert min(sizes) >= min(2, len(labels))
    assert len(epoch) * one.images_per_batch == pytest.approx(len(labels))


@given(LABELS, SIZES, SEEDS, st.integers(2, 5))
def test_images_of_an_identity_come_together(labels, size, seed, together):
    grouped = Order(labels, together * size, together, seed)
    counts = labels.bincount().tolist()
    epoch = taken(grouped, 0, grouped.per_epoch)
    sizes = {len(batch) for batch in epoch}
    assert max(sizes) <= min(min(sizes) + together, max(size, 3) * together)
    seen = list(chain.from_iterable(epoch))
    assert set(seen) == set(range(len(labels)))
    for start in range(0, len(seen), together):
        group = seen[start : start + together]
        (identity,) = set(labels[group].tolist())
        assert len(set(group)) == min(together, counts[identity])
    assert len(seen) == together * sum(-(-count // together) for count in counts)


def test_a_last_batch_is_not_smaller_than_the_others():
    assert [len(batch) for batch in taken(order(24, 13, 0), 0, 2)] == [12, 12]
    assert [len(batch) for batch in taken(order(5, 2, 0), 0, 3)] == [3, 2, 3]


@given(LABELS, SIZES, SEEDS, st.integers(0, 100), st.sampled_from([1, 2]))
def test_the_order_from_any_step_is_the_rest_of_the_whole_order(
    labels, size, seed, start, together
):
    one = Order(labels, size, together, seed)
    assert taken(one, start, 5) == taken(one, 0, start + 5)[start:]


def test_epochs_and_seeds_have_orders_of_their_own():
    first, second = taken(order(1000, 1000, 0), 0, 2)
    other = taken(order(1000, 1000, 1), 0, 1)[0]
    assert first != second
    assert first != other
    assert second != other


def test_identities_too_small_for_their_group_are_counted():
    labels = torch.tensor([0, 0, 0, 2, 2, 3])
    assert [Order(labels, 8, together, 0).incomplete for together in (1, 2, 3, 4)] == [0, 1, 2, 3]


def test_other_images_of_an_identity_meet_in_the_next_epoch():
    labels = torch.arange(4).repeat_interleave(50)
    first, second = taken(Order(labels, 200, 2, 0), 0, 2)

    def pairs(batch):
        return {frozenset(batch[start : start + 2]) for start in range(0, 200, 2)}

    assert len(pairs(first) & pairs(second)) < 20  # 2 of 100 are expected


def test_the_order_does_not_depend_on_the_global_generator():
    before = taken(order(50, 10, 3), 0, 5)
    torch.manual_seed(99)
    assert taken(order(50, 10, 3), 0, 5) == before
