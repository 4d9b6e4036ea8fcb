import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from gonio.evaluate import verify


def made_up(identities, each, spread, dim=32, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(identities), each)
    centres = rng.normal(size=(identities, dim))
    embeddings = centres[labels] + spread * rng.normal(size=(len(labels), dim))
    return torch.tensor(embeddings, dtype=torch.float32), torch.tensor(labels)


def metrics(result):
    return (result.auc, result.eer, result.accuracy, *result.tar_at_far)


def test_perfect_embeddings_have_perfect_numbers():
    labels = torch.arange(20).repeat_interleave(8)
    result = verify(torch.eye(20)[labels] * torch.rand(160, 1).add(0.1), labels)
    assert result.pairs.genuine == 20 * 28
    assert result.pairs.impostor == 190 * 64
    assert result.auc.value == 1
    assert result.eer.value == 0
    assert result.accuracy.value == 1
    assert result.accuracy.standard_error == 0
    # all impostors tie at cosine 0, so that no threshold accepts only some of them
    assert [point.value for point in result.tar_at_far] == [1, 1, 1]
    assert [point.false_accepts for point in result.tar_at_far] == [0, 0, 0]


def test_random_embeddings_are_as_good_as_chance():
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(1500, 64, generator=generator)
    result = verify(embeddings, torch.arange(1500) % 100)
    assert result.auc.value == pytest.approx(0.5, abs=0.02)
    assert result.eer.value == pytest.approx(0.5, abs=0.02)
    assert result.accuracy.value == pytest.approx(0.5, abs=0.03)
    for point in result.tar_at_far:
        assert point.value == pytest.approx(point.far, abs=4 * (point.far / point.genuine) ** 0.5)


def test_equal_embeddings_are_as_good_as_chance():
    rows = torch.randn(1, 128, generator=torch.Generator().manual_seed(0))
    result = verify(rows.expand(700, 128), torch.arange(700) % 7)
    assert result.auc.value == 0.5
    assert result.eer.value == 0.5
    assert [point.value for point in result.tar_at_far] == [0, 0, 0]


def test_auc_agrees_with_scikit_learn():
    embeddings, labels = made_up(identities=30, each=10, spread=2.0)
    unit = torch.nn.functional.normalize(embeddings.double())
    i, j = torch.triu_indices(300, 300, offset=1)
    oracle = roc_auc_score(labels[i] == labels[j], (unit[i] * unit[j]).sum(1))
    assert verify(embeddings, labels).auc.value == pytest.approx(oracle, abs=1e-6)


@settings(deadline=None, max_examples=25)
@given(st.permutations(range(45)), st.integers(0, 3), st.sampled_from([400, 10**6]))
def test_the_order_of_the_samples_does_not_matter(order, seed, max_pairs):
    embeddings, labels = made_up(identities=15, each=3, spread=1.0)
    shuffled = verify(
        embeddings[list(order)], labels[list(order)], folds=5, seed=seed, max_pairs=max_pairs
    )
    assert shuffled == verify(embeddings, labels, folds=5, seed=seed, max_pairs=max_pairs)


def test_the_length_of_the_embeddings_does_not_matter():
    embeddings, labels = made_up(identities=15, each=4, spread=1.0)
    powers = 2.0 ** torch.randint(-20, 20, (60, 1), generator=torch.Generator().manual_seed(0))
    assert verify(embeddings * powers, labels) == verify(embeddings, labels)


@pytest.mark.parametrize("seed", range(4))
def test_last_bits_of_the_embeddings_draw_no_other_pairs(seed):
    embeddings, labels = made_up(identities=40, each=5, spread=1.5, seed=seed)
    last_bits = embeddings * 3, embeddings.double() * (1 + 2**-52), embeddings.double() + 1e-12
    value = verify(embeddings, labels).accuracy.value
    assert [verify(one, labels).accuracy.value for one in last_bits] == [value] * 3


@pytest.mark.parametrize(
    ("labels", "reason"),
    [([4, 4, 4, 4], "all samples are of one identity"), ([1, 2, 3, 4], "no identity has two")],
)
def test_pairs_of_one_kind_give_reasons_and_no_numbers(labels, reason):
    result = verify(torch.randn(4, 8), torch.tensor(labels))
    for metric in metrics(result):
        assert metric.value is None
        assert metric.reason
    assert reason in result.auc.reason


def test_one_sample_gives_reasons_and_no_numbers():
    result = verify(torch.ones(1, 2), torch.zeros(1, dtype=torch.long))
    assert {metric.value for metric in metrics(result)} == {None}


def test_a_drawn_sample_of_pairs_comes_close_to_all():
    embeddings, labels = made_up(identities=60, each=10, spread=1.5)
    every, drawn = verify(embeddings, labels), verify(embeddings, labels, max_pairs=50_000)
    assert drawn.pairs.impostor == 50_000
    assert drawn.pairs.genuine == every.pairs.genuine
    assert drawn.auc.value == pytest.approx(every.auc.value, abs=0.005)
    assert drawn.eer.value == pytest.approx(every.eer.value, abs=0.01)
    assert drawn.accuracy == every.accuracy


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"max_pairs": 0}, "max_pairs: got 0"), ({"far": (0.0,)}, "far"), ({"folds": 1}, "folds")],
)
def test_settings_that_cannot_be_used_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        verify(torch.randn(9, 3), torch.arange(9) // 3, **arguments)


def test_numpy_arrays_and_tensors_give_the_same():
    embeddings, labels = made_up(identities=8, each=4, spread=1.0)
    assert verify(embeddings.numpy(), labels.numpy()) == verify(
        embeddings.requires_grad_(), labels.int()
    )
