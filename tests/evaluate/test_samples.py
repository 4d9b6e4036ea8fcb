import numpy as np
import pytest
import torch

from gonio.base.errors import DataError
from gonio.evaluate.samples import prepare


def test_rows_are_unit_and_sorted_by_label():
    samples = prepare(torch.tensor([[3.0, 4.0], [0.0, 2.0], [5.0, 0.0]]), torch.tensor([7, -1, 7]))
    assert samples.labels.tolist() == [-1, 7, 7]
    assert samples.unit[0].tolist() == [0.0, 1.0]
    assert sorted(samples.unit[1:].tolist()) == [[0.6, 0.8], [1.0, 0.0]]
    assert samples.sizes.tolist() == [1, 2]


@pytest.mark.parametrize("length", [1e-320, 1e-200, 1e200, 1e308])
def test_extreme_lengths_keep_their_direction(length):
    samples = prepare(np.array([[0.6 * length, 0.8 * length]]), np.array([0]))
    assert samples.unit[0] == pytest.approx([0.6, 0.8], rel=1e-3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_every_float_type_is_taken(dtype):
    assert prepare(torch.eye(3, dtype=dtype), torch.arange(3)).unit.dtype == np.float64


@pytest.mark.parametrize(
    ("embeddings", "labels", "error", "message"),
    [
        (torch.ones(2, 3, dtype=torch.long), torch.arange(2), TypeError, r"int64\[2, 3\]"),
        (torch.ones(3), torch.arange(3), ValueError, r"shape must be \[n, dim\]"),
        (torch.ones(0, 3), torch.arange(0), ValueError, "both at least 1"),
        (torch.ones(2, 3), torch.arange(3), ValueError, r"needed, shape \[2\]"),
        (torch.ones(2, 3), torch.ones(2), TypeError, r"labels\.long\(\)"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(embeddings, labels, error, message):
    with pytest.raises(error, match=message):
        prepare(embeddings, labels)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_embeddings_that_are_not_finite_are_refused(bad):
    embeddings = torch.ones(6, 3)
    embeddings[4, 1] = embeddings[5, 0] = bad
    with pytest.raises(DataError, match="2 of 6 hold NaN or infinity, the first at index 4"):
        prepare(embeddings, torch.arange(6))


def test_embeddings_of_length_zero_are_refused():
    embeddings = torch.ones(6, 3)
    embeddings[2] = 0
    with pytest.raises(DataError, match=r"1 of 6 are all zeros .* first at index 2"):
        prepare(embeddings, torch.arange(6))


def test_neither_last_bits_nor_the_order_they_came_in_change_the_order():
    rng = np.random.default_rng(0)
    embeddings, labels = rng.normal(size=(300, 16)), rng.integers(40, size=300)
    embeddings[:, 0] = 0  # a dimension in which only noise differs
    order = rng.permutation(300)
    other = embeddings[order] * (1 + 2.0**-52) + rng.normal(scale=1e-9, size=(300, 16))
    samples, again = prepare(embeddings, labels), prepare(other, labels[order])
    assert np.array_equal(samples.labels, again.labels)
    assert np.abs(samples.unit - again.unit).max() < 1e-7
