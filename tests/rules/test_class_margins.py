"""Margins and offsets of each class: given, from counts, learned; and what is refused."""

import math

import pytest
import torch

import gonio
from gonio import losses
from gonio.rules import AngularMargin, Chain, Fixed, FromCounts, MarginReward, PerClass, Subtract
from rules.heads import CLASSES, COUNTS, data, head_of

MARGINS = [0.05, 0.2, 0.35, 0.5, 0.65]


@pytest.mark.parametrize("backend", ["reference", "chunked"])
@pytest.mark.parametrize("row", [losses.cosface, losses.arcface, losses.sub_center_arcface])
def test_a_margin_of_each_class_is_that_of_its_samples(row, backend):
    head = head_of(row(margin=PerClass(MARGINS), scale=6.0), backend=backend)
    x, labels = data(12)
    found = head(x, labels, reduction="none")
    for i, label in enumerate(labels.tolist()):
        one = head_of(row(margin=MARGINS[label], scale=6.0), backend=backend)
        with torch.no_grad():
            one.weight.copy_(head.weight)
        torch.testing.assert_close(found[i], one(x[i : i + 1], labels[i : i + 1]))


def test_margins_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"^margin: 4 numbers for 5 classes"):
        head_of(losses.cosface(margin=PerClass(MARGINS[:4])))
    with pytest.raises(ValueError, match=r"^values: got nan for class 1"):
        PerClass([0.1, math.nan])
    with pytest.raises(ValueError, match=r"^values: got inf for class 0"):
        PerClass([math.inf])
    with pytest.raises(ValueError, match=r"^values: got nothing"):
        PerClass([])
    with pytest.raises(ValueError, match=r"^margin: .* out of range \(-pi, pi\)"):
        losses.arcface(margin=PerClass([0.1, 30.0]))
    with pytest.raises(ValueError, match=r"^margin: "):
        losses.cosface(margin=PerClass([0.1, -0.1]))


@pytest.mark.parametrize("name", ["ldam", "dynamic-arcface", "kappaface", "logit-adjustment"])
def test_a_loss_that_needs_counts_says_so(name):
    with pytest.raises(ValueError, match=r"^class_counts: .* needs the number of training samples"):
        head_of(name, class_counts=None)
    with pytest.raises(ValueError, match=r"^class_counts: "):
        head_of(name, class_counts=COUNTS[:4])
    with pytest.raises(ValueError, match=r"^class_counts: "):
        head_of(name, class_counts=-COUNTS)


@pytest.mark.parametrize("name", ["ldam", "dynamic-arcface", "logit-adjustment"])
def test_a_class_without_a_sample_is_named(name):
    counts = COUNTS.clone()
    counts[2] = 0
    with pytest.raises(ValueError, match=r"^class_counts: .*class 2"):
        head_of(name, class_counts=counts)


def test_kappaface_bears_a_class_without_a_sample():
    counts = COUNTS.clone()
    counts[2] = 0
    for given in (counts, torch.zeros(CLASSES)):
        head = head_of(losses.kappaface(every=1), class_counts=given)
        head(*data()).backward()
        assert head.margins.isfinite().all()


@pytest.mark.parametrize("name", ["ldam", "dynamic-arcface", "kappaface", "logit-adjustment"])
def test_equal_counts_are_finite(name):
    head = head_of(name, class_counts=torch.full((CLASSES,), 7))
    loss = head(*data())
    loss.backward()
    assert loss.isfinite()
    if name == "dynamic-arcface":
        torch.testing.assert_close(head.margins, torch.full((CLASSES,), 0.275, dtype=torch.float64))


def test_margins_from_counts_are_those_of_the_formula():
    rarity = COUNTS.double() ** -0.25
    ldam = head_of(losses.ldam(margin=0.5, power=0.25)).margins
    torch.testing.assert_close(ldam, 0.5 * rarity / rarity.max())
    share = (rarity - rarity.min()) / (rarity.max() - rarity.min())
    dynamic = head_of(losses.dynamic_arcface(low=0.05, high=0.5)).margins
    torch.testing.assert_close(dynamic, 0.05 + 0.45 * share)


def test_two_parts_cannot_keep_the_same_name():
    def both(first, second):
        rule = Chain(AngularMargin(add=first), Subtract(second))
        return gonio.Loss(Fixed(8.0), rule)

    one, other = PerClass(MARGINS), PerClass(MARGINS[::-1])
    with pytest.raises(ValueError, match="both keep 'margins'; a loss has room for one"):
        head_of(both(one, other))
    with pytest.raises(ValueError, match="both keep 'margins'"):
        head_of(both(FromCounts(), one))
    assert head_of(both(one, PerClass(MARGINS))).margins.tolist() == MARGINS


def test_a_reward_for_margins_needs_margins():
    with pytest.raises(ValueError, match="margins"):
        head_of(losses.cosface() + MarginReward(1.0))(*data())
