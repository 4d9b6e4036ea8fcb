import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gonio.base.errors import ConfigError, DataError
from gonio.data import ArrayImages, select_identities, split_by_identity


def images_of(counts):
    """Images whose first pixel is their index."""
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    pixels = torch.arange(len(labels), dtype=torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 1, 8, 8)
    return ArrayImages(pixels, labels, tuple(f"id{i}" for i in range(len(counts))))


def contents(images):
    """The name of the identity of every image, by the image's first pixel."""
    first = images.read(range(len(images)))[:, 0, 0, 0].tolist()
    return {
        pixel: images.names[label]
        for pixel, label in zip(first, images.labels.tolist(), strict=True)
    }


def test_a_selection_renumbers_labels_and_keeps_names_and_pixels():
    images = select_identities(images_of([2, 1, 3]), [2, 0])
    assert images.names == ("id2", "id0")
    assert images.labels.tolist() == [1, 1, 0, 0, 0]
    assert contents(images) == {0: "id0", 1: "id0", 3: "id2", 4: "id2", 5: "id2"}


def test_a_selection_of_a_selection():
    once = select_identities(images_of([2, 1, 3]), [2, 1])
    assert contents(select_identities(once, [1])) == {2: "id1"}


@pytest.mark.parametrize(("identities", "message"), [([0, 0], "differ"), ([3], "3"), ([-1], "-1")])
def test_a_selection_of_what_is_not_there_is_refused(identities, message):
    with pytest.raises(ValueError, match=message):
        select_identities(images_of([1, 1, 1]), identities)


@given(
    counts=st.lists(st.integers(1, 4), min_size=4, max_size=40),
    unseen=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**32),
)
def test_a_split_shares_no_identity_loses_no_image_and_leaves_genuine_and_impostor_pairs(
    counts, unseen, seed
):
    images = images_of(counts)
    if sum(count >= 2 for count in counts) < 2:
        with pytest.raises(DataError, match="two with two images or more"):
            split_by_identity(images, unseen, seed)
        return
    train, apart = split_by_identity(images, unseen, seed)
    assert set(train.names).isdisjoint(apart.names)
    assert contents(train) | contents(apart) == contents(images)
    assert len(train) + len(apart) == len(images)
    assert len(train.names) >= 2
    assert (apart.labels.bincount() >= 2).sum() >= 2
    assert len(apart.names) == pytest.approx(unseen * len(counts), abs=2)


@pytest.mark.parametrize(("unseen", "apart"), [(0.26, 3), (0.24, 2), (0.74, 7), (0.76, 8)])
def test_a_share_is_rounded_to_the_nearest_number_of_identities(unseen, apart):
    seen, kept = split_by_identity(images_of([2] * 10), unseen, seed=0)
    assert (len(seen.names), len(kept.names)) == (10 - apart, apart)


def test_a_split_depends_on_the_seed_alone():
    images = images_of([3] * 30)
    first, same, other = (split_by_identity(images, 0.3, seed)[1].names for seed in (1, 1, 2))
    assert first == same
    assert first != other
    assert first == tuple(sorted(first, key=lambda name: int(name[2:])))


@pytest.mark.parametrize("identities", [2, 3])
def test_what_is_left_to_train_on_are_two_identities_or_the_split_is_refused(identities):
    images = images_of([5] * identities)
    with pytest.raises(DataError, match=rf"there are {identities} identities, .* unseen = 0"):
        split_by_identity(images, 0.25, 0)
    train, apart = split_by_identity(images, 0, 0)
    assert (contents(train), len(apart), apart.names) == (contents(images), 0, ())


@pytest.mark.parametrize("unseen", [0, 0.25])
def test_one_identity_has_nothing_to_be_told_from(unseen):
    with pytest.raises(DataError, match="two identities to tell apart, got 1"):
        split_by_identity(images_of([5]), unseen, 0)


@pytest.mark.parametrize("unseen", [1, -0.1, 2, float("nan")])
def test_a_share_outside_of_zero_and_one_is_refused(unseen):
    with pytest.raises(ConfigError, match=r"unseen must be .* in \[0, 1\)"):
        split_by_identity(images_of([2] * 4), unseen, 0)
