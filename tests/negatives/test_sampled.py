"""Negatives drawn anew at each step."""

from dataclasses import replace

import pytest
import torch

import gonio
from gonio import losses
from gonio.negatives import Chunked, Sampled, reference

DIM, CLASSES = 6, 60


def made(backend, loss="cosface", size=12, **keywords):
    torch.manual_seed(0)
    head = gonio.Head(
        DIM,
        CLASSES,
        loss=loss,
        backend=backend,
        dtype=torch.float64,
        class_counts=torch.arange(1, CLASSES + 1),
        **keywords,
    )
    return head, torch.randn(size, DIM, dtype=torch.float64), torch.randint(0, CLASSES, (size,))


def gradients(head, embeddings, labels, **keywords):
    x = embeddings.clone().requires_grad_()
    head.zero_grad()
    loss = head(x, labels, **keywords)
    loss.sum().backward()
    grads = {
        name: one.grad.clone() for name, one in head.named_parameters() if one.grad is not None
    }
    return {"loss": loss.detach(), "embeddings": x.grad} | grads


@pytest.mark.parametrize("rate", [0.0, 1.5, -1])
def test_a_rate_out_of_range_is_refused(rate):
    with pytest.raises(ValueError, match=r"rate: .* is out of range \(0, 1\]"):
        Sampled(rate)


def test_what_cannot_be_sampled_is_refused():
    with pytest.raises(TypeError, match=r"backend: .* pass Chunked"):
        Sampled(0.5, backend=reference)
    with pytest.raises(ValueError, match=r"label_smoothing: .*all classes"):
        made(Sampled(0.5), label_smoothing=0.1)
    with pytest.raises(ValueError, match=r"backend: Sampled draws class weights"):
        gonio.Head(DIM, CLASSES, loss="supcon", backend=Sampled(0.5))


def test_the_classes_of_the_batch_are_always_drawn():
    labels = torch.tensor([3, 59, 3, 0])
    drawn = Sampled(0.25).drawn(CLASSES, labels, step=0)
    assert len(drawn) == 15
    assert drawn.tolist() == sorted(set(drawn.tolist()))
    assert set(labels.tolist()) <= set(drawn.tolist())
    many = Sampled(0.01).drawn(CLASSES, torch.arange(40), step=0)
    assert many.tolist() == list(range(40))


def test_every_other_class_has_the_same_chance():
    count = torch.zeros(CLASSES)
    for step in range(2000):
        count[Sampled(0.25).drawn(CLASSES, torch.tensor([7]), step)] += 1
    assert count[7] == 2000
    others = torch.cat([count[:7], count[8:]]) / 2000
    # 14 of 59, give or take five standard deviations of a binomial
    assert (others - 14 / 59).abs().max() < 5 * (14 / 59 * 45 / 59 / 2000) ** 0.5


def test_a_resumed_head_draws_the_same():
    head, x, labels = made(Sampled(0.2, seed=5), size=4)
    for _ in range(3):
        gradients(head, x, labels)
    other, _, _ = made(Sampled(0.2, seed=5))
    other.load_state_dict(head.state_dict())
    another, _, _ = made(Sampled(0.2, seed=6))
    another.load_state_dict(head.state_dict())
    found = [gradients(one, x, labels)["loss"] for one in (head, other, another)]
    assert found[0] == found[1] != found[2]
    assert gradients(head, x, labels)["loss"] != found[0]  # the next step draws others


ROWS = ["cosface", "softmax", "ldam", "sub-center-arcface", "sphereface2", "mv-am-softmax", "hinge"]


@pytest.mark.parametrize("attached", [False, True])
@pytest.mark.parametrize("name", ROWS)
def test_the_loss_is_that_of_the_drawn_classes(name, attached):
    head, x, labels = made(Sampled(0.3, Chunked(7)), name)
    drawn = head.backend.drawn(CLASSES, labels, 0)

    def of_drawn(x, classes, sample, labels, loss):
        offset = None if classes.offset is None else classes.offset[drawn]
        some = type(classes)(classes.weight[drawn], offset, drawn)
        return reference(x, some, sample, labels, loss)

    truth_head, _, _ = made(of_drawn, name)
    if not attached:
        truth = gradients(truth_head, x, labels)
        for key, value in gradients(head, x, labels).items():
            torch.testing.assert_close(value, truth[key], rtol=1e-10, atol=1e-10)
        return
    for one in (head, truth_head):
        optimizer = torch.optim.SGD(one.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
        if one is head:
            head.attach_optimizer(optimizer)
        for step in range(3):
            drawn = Sampled(0.3).drawn(CLASSES, labels, step)
            optimizer.zero_grad()
            one(x, labels).backward()
            optimizer.step()
    for (key, value), truth in zip(head.named_parameters(), truth_head.parameters(), strict=True):
        torch.testing.assert_close(value, truth, rtol=1e-10, atol=1e-10, msg=key)


@pytest.mark.parametrize("name", losses.names())
def test_all_classes_are_the_backend_itself(name):
    if losses.get(name).loss().pairing.against != "classes":
        pytest.skip("it has no classes to draw")
    found, truth = (
        gradients(*made(backend, name)) for backend in (Sampled(1.0, Chunked(7)), Chunked(7))
    )
    for key, value in truth.items():
        torch.testing.assert_close(found[key], value, rtol=1e-12, atol=1e-12)


def test_several_labels_and_ignored_rows():
    head, x, labels = made(Sampled(0.2), ignore_index=-1)
    labels[2] = -1
    assert gradients(head, x, labels)["embeddings"][2].abs().max() == 0
    both = torch.stack([labels.clamp(min=0), labels.clamp(min=0).roll(1)], dim=1)
    mass = torch.full((12, 2), 0.5, dtype=torch.float64)
    assert gradients(head, x, both, label_mass=mass)["loss"].isfinite()


def test_all_classes_count_out_of_training():
    head, x, labels = made(Sampled(0.1))
    plain, _, _ = made(Chunked())
    assert head.eval()(x, labels) == plain.eval()(x, labels)
    assert torch.equal(head.logits(x), plain.logits(x))
    for found, truth in zip(head.measure(x, labels), plain.measure(x, labels), strict=True):
        assert torch.equal(found, truth)


def test_it_prints_compares_and_is_made_again():
    backend = Sampled(0.1, Chunked(9), seed=3)
    assert replace(backend) == backend != Sampled(0.1, Chunked(9))
    assert "rate=0.1" in repr(backend)
