"""Negatives drawn anew at each step."""

import math
from dataclasses import dataclass, field, replace

import pytest
import torch

import gonio
from gonio import losses, rules
from gonio.engines import Chunked, Reference, Sampled
from gonio.engines.seam import Engine, Held
from gonio.ranks import ALONE

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


@pytest.mark.parametrize(
    "rate", [0.0, 1.5, -1, math.nan, gonio.Ramp(0.0, 1.0, 5), gonio.Ramp(0.5, 2.0, 5)], ids=str
)
def test_a_rate_out_of_range_is_refused(rate):
    with pytest.raises(ValueError, match=r"rate: .* is out of range \(0, 1\]"):
        Sampled(rate)


def test_what_cannot_be_sampled_is_refused():
    with pytest.raises(TypeError, match=r"backend: .* give Chunked"):
        Sampled(0.5, backend=Reference())
    for rate in (True, "0.1", losses):
        with pytest.raises(TypeError, match=r"rate: got "):
            Sampled(rate)
    with pytest.raises(TypeError, match=r"corrected: got 'yes'"):
        Sampled(0.5, corrected="yes")
    with pytest.raises(ValueError, match=r"label_smoothing: .*all classes"):
        made(Sampled(0.5), label_smoothing=0.1)
    with pytest.raises(ValueError, match=r"backend: Sampled draws class weights"):
        gonio.Head(DIM, CLASSES, loss="supcon", backend=Sampled(0.5))


def test_the_classes_of_the_batch_are_always_drawn():
    labels = torch.tensor([3, 59, 3, 0])
    drawn = Sampled(0.25).draw(CLASSES, labels, step=0)
    assert len(drawn) == 15
    assert drawn.tolist() == sorted(set(drawn.tolist()))
    assert set(labels.tolist()) <= set(drawn.tolist())
    many = Sampled(0.01).draw(CLASSES, torch.arange(40), step=0)
    assert many.tolist() == list(range(40))


@pytest.mark.parametrize("classes", [10, 49, 60, 100, 1000])
def test_a_share_that_is_a_whole_number_draws_so_many(classes):
    label = torch.tensor([0])
    counts = [len(Sampled(k / classes).draw(classes, label, 0)) for k in range(1, classes + 1)]
    assert counts == list(range(1, classes + 1))
    assert len(Sampled(1.9 / classes).draw(classes, label, 0)) == 1


def test_no_two_of_seed_and_step_draw_the_same():
    label, grid = torch.tensor([0]), [(seed, step) for seed in range(12) for step in range(12)]
    drawn = {tuple(Sampled(0.5, seed=a).draw(CLASSES, label, b).tolist()) for a, b in grid}
    assert len(drawn) == len(grid)


def test_the_rate_follows_a_schedule_and_resumes_in_it():
    backend = Sampled(gonio.Ramp(0.1, 1.0, 3))
    counts = [len(backend.draw(CLASSES, torch.tensor([0]), step)) for step in range(5)]
    assert counts == [6, 24, 42, 60, 60]
    head, x, labels = made(backend, size=4)
    for _ in range(2):
        gradients(head, x, labels)
    other, _, _ = made(Sampled(gonio.Ramp(0.1, 1.0, 3)))
    other.load_state_dict(head.state_dict())
    truth = made(Among(backend.draw(CLASSES, labels, 2)))[0]
    for one in (head, other):
        assert gradients(one, x, labels)["loss"] == pytest.approx(
            float(gradients(truth, x, labels)["loss"]), rel=1e-12
        )


@dataclass(frozen=True)
class Listening(Chunked):
    """Keeps what it answers."""

    heard: list = field(default_factory=list)

    def __call__(self, *asked):
        self.heard.append(super().__call__(*asked).exp())
        return self.heard[-1].log()


def pools(x, labels, *, loss="normface", steps=1, **sampled):
    """(steps, batch): sums over the negatives of exp(score), by draws of one step after another."""
    engine = Listening(7)
    head, _, _ = made(Sampled(backend=engine, **sampled) if sampled else engine, loss)
    for _ in range(steps):
        head(x, labels)
    return torch.stack(engine.heard).detach()


@pytest.mark.parametrize("rate", [0.05, 0.3], ids=["one other class", "a third"])
@pytest.mark.parametrize("loss", [losses.normface(scale=3.0), losses.cosface(scale=3.0)], ids=str)
def test_the_corrected_sum_is_right_on_average(rate, loss):
    """Own classes of others in the batch are always there, and count once."""
    _, x, _ = made(Reference())
    labels = torch.tensor([3, 3, 9, 50] * 3)  # as many as 0.05 draws, so one other is added
    steps = 2000
    truth = pools(x, labels, loss=loss)[0]
    drawn = pools(x, labels, loss=loss, steps=steps, rate=rate, corrected=True)
    error = drawn.std(dim=0) / steps**0.5
    assert ((drawn.mean(dim=0) - truth).abs() < 4.5 * error).all()
    published = pools(x, labels, loss=loss, steps=steps, rate=rate).mean(dim=0)
    assert (published < 0.7 * truth).all()


def test_the_corrected_loss_of_a_tenth_of_the_classes_is_near_that_of_all():
    torch.manual_seed(0)
    x, labels = torch.randn(64, 32), torch.randint(0, 5000, (64,))
    found = {}
    for name, backend in {
        "all": Chunked(),
        "corrected": Sampled(0.1, corrected=True),
        "published": Sampled(0.1),
    }.items():
        torch.manual_seed(1)
        head = gonio.Head(32, 5000, loss=losses.arcface(scale=16.0), backend=backend)
        found[name] = float(torch.stack([head(x, labels).detach() for _ in range(10)]).mean())
    assert found["corrected"] == pytest.approx(found["all"], rel=0.05)
    assert found["published"] < 0.95 * found["all"]


def test_a_correction_counts_in_the_gradient_and_knows_the_temperature():
    """All scores equal: n drawn classes that stand for N have the pool of N, whatever is drawn."""
    for pool in (rules.LogSumExp(), rules.LogSumExp(temperature=2.5)):
        loss = replace(losses.get("normface").loss(), pool=pool)
        found = []
        for backend in (Sampled(0.2, Chunked(7), corrected=True), Chunked(7)):
            head, x, labels = made(backend, loss)
            with torch.no_grad():
                head.weight.copy_(torch.ones_like(head.weight))
            found.append(gradients(head, x, labels))
        for key in ("loss", "embeddings"):
            torch.testing.assert_close(found[0][key], found[1][key], rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(
            found[0]["weight"].sum(dim=0), found[1]["weight"].sum(dim=0), rtol=1e-10, atol=1e-10
        )


def test_what_has_no_sum_of_exponentials_is_not_corrected():
    for loss in ("hinge", replace(losses.cosface(), pool=rules.LogSumExp(temperature=0))):
        with pytest.raises(ValueError, match=r"backend: .*corrected=True\) estimates a sum"):
            made(Sampled(0.5, corrected=True), loss)
        made(Sampled(0.5), loss)


def test_every_other_class_has_the_same_chance():
    count = torch.zeros(CLASSES)
    for step in range(2000):
        count[Sampled(0.25).draw(CLASSES, torch.tensor([7]), step)] += 1
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


@dataclass(frozen=True)
class Among(Engine):
    """The truth of what is drawn: the reference over these classes alone."""

    drawn: torch.Tensor

    def __call__(self, query, held, workspace, ranks=ALONE):
        offset = None if held.offset is None else held.offset[self.drawn]
        some = Held(held.weight[self.drawn], offset, self.drawn)
        return Reference()(query, some, workspace)


WITH_CLASSES = [
    name for name in losses.names() if losses.get(name).loss().pairing.against == "classes"
]


@pytest.mark.parametrize("name", WITH_CLASSES)
def test_the_loss_is_that_of_the_drawn_classes(name):
    head, x, labels = made(Sampled(0.3, Chunked(7)), name)
    drawn = head.backend.draw(CLASSES, labels, 0)
    truth = gradients(*made(Among(drawn), name))
    for key, value in gradients(head, x, labels).items():
        torch.testing.assert_close(value, truth[key], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", ["cosface", "softmax", "ldam", "sub-center-arcface", "hinge"])
def test_an_attached_optimizer_moves_the_weight_by_the_drawn_classes(name):
    head, x, labels = made(Sampled(0.3, Chunked(7)), name)
    truth, _, _ = made("reference", name)
    for one in (head, truth):
        optimizer = torch.optim.SGD(one.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
        if one is head:
            head.attach_optimizer(optimizer)
        for step in range(3):
            truth.backend = Among(Sampled(0.3).draw(CLASSES, labels, step))
            optimizer.zero_grad()
            one(x, labels).backward()
            optimizer.step()
    torch.testing.assert_close(head.state_dict(), truth.state_dict(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", WITH_CLASSES)
def test_all_classes_are_the_backend_itself(name):
    found, truth = (
        gradients(*made(backend, name)) for backend in (Sampled(1.0, Chunked(7)), Chunked(7))
    )
    for key, value in truth.items():
        torch.testing.assert_close(found[key], value, rtol=1e-12, atol=1e-12)


def test_several_labels_and_ignored_rows():
    several = torch.stack([torch.arange(12), torch.arange(12) + 30], dim=1)
    mass = torch.tensor([0.7, 0.3], dtype=torch.float64).repeat(12, 1)
    mass[3] = torch.tensor([1.0, 0.0])
    several[5, 1] = -1
    keywords = {"loss": "arcface", "ignore_index": -1}
    head, x, _ = made(Sampled(0.5), **keywords)
    known = torch.cat([several[:5].flatten(), several[6:].flatten()])
    known = known[known != 33]  # without mass
    drawn = head.backend.draw(CLASSES, known, 0)
    assert set(known.tolist()) <= set(drawn.tolist())
    truth = gradients(made(Among(drawn), **keywords)[0], x, several, label_mass=mass)
    found = gradients(head, x, several, label_mass=mass)
    for key, value in found.items():
        torch.testing.assert_close(value, truth[key], rtol=1e-10, atol=1e-10)
    assert found["embeddings"][5].abs().max() == 0


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


def test_a_gradient_that_is_held_is_not_overwritten():
    head = gonio.Head(8, 200, backend=Sampled(0.1, Chunked(16)))
    x, labels = torch.randn(4, 8), torch.arange(4)
    head(x, labels).backward()
    held, head.weight.grad = head.weight.grad, None
    before = held.clone()
    head(x, labels + 50).backward()
    assert torch.equal(held, before)
    assert not torch.equal(head.weight.grad, before)
