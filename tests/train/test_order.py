from itertools import chain, islice

import torch
from hypothesis import given
from hypothesis import strategies as st

from gonio.train.order import batches, batches_per_epoch

COUNTS, SIZES, SEEDS = st.integers(1, 60), st.integers(2, 20), st.integers(0, 2**63 - 1)


def taken(count, size, seed, start, steps):
    return [batch.tolist() for batch in islice(batches(count, size, seed, start), steps)]


@given(COUNTS, SIZES, SEEDS)
def test_an_epoch_sees_every_image_at_most_once_in_batches_of_one_size(count, size, seed):
    steps = batches_per_epoch(count, size)
    epoch = taken(count, size, seed, 0, steps)
    images = list(chain.from_iterable(epoch))
    assert len(set(images)) == len(images)
    assert set(images) <= set(range(count))
    assert {len(batch) for batch in epoch} == {min(size, count)}
    assert count - len(images) < size


@given(COUNTS, SIZES, SEEDS, st.integers(0, 100))
def test_the_order_from_any_step_is_the_rest_of_the_whole_order(count, size, seed, start):
    whole = taken(count, size, seed, 0, start + 5)
    assert taken(count, size, seed, start, 5) == whole[start:]


def test_epochs_and_seeds_have_orders_of_their_own():
    first, second = taken(1000, 1000, 0, 0, 2)
    other = taken(1000, 1000, 1, 0, 1)[0]
    assert first != second
    assert first != other
    assert second != other


def test_the_order_does_not_depend_on_the_global_generator():
    before = taken(50, 10, 3, 0, 5)
    torch.manual_seed(99)
    assert taken(50, 10, 3, 0, 5) == before
