"""Classes drawn for backward: `Chunked(backward_rate=...)`."""

from dataclasses import replace

import pytest
import torch

import gonio
from gonio import losses
from gonio.negatives import Chunked, Fused, Sampled

DIM, CLASSES, BATCH = 6, 60, 16
DRAWS = 150


def made(loss="arcface", backend=None, dtype=torch.float64, **keywords):
    torch.manual_seed(0)
    backend = backend or Chunked(7)
    head = gonio.Head(DIM, CLASSES, loss=loss, backend=backend, dtype=dtype, **keywords)
    return head, torch.randn(BATCH, DIM, dtype=dtype), torch.randint(0, CLASSES, (BATCH,))


def gradients(head, embeddings, labels):
    x = embeddings.clone().requires_grad_()
    head.zero_grad()
    head(x, labels).backward()
    return {"embeddings": x.grad} | {n: p.grad.clone() for n, p in head.named_parameters()}


TWO_CENTERS = replace(losses.cosface(scale=8.0), score=replace(losses.cosface().score, centers=2))


@pytest.mark.parametrize(
    ("loss", "settings"),
    [
        (losses.arcface(scale=8.0), {"mode": "stash"}),
        (losses.arcface(scale=64.0), {"mode": "recompute"}),
        (losses.arcface(scale="learned"), {"negligible": 1e-9}),
        (TWO_CENTERS, {}),
    ],
    ids=["stash", "recompute", "learned scale", "two centres"],
)
def test_the_gradient_is_right_on_average(loss, settings):
    head, embeddings, labels = made(loss, Chunked(7, **settings))
    exact = gradients(head, embeddings, labels)
    head.backend = Chunked(7, backward_rate=0.1, **settings)
    draws, rows = [], []
    for _ in range(DRAWS):
        draws.append(gradients(head, embeddings, labels))
        rows.append(head.last_step.weight_rows_in_backward)
    num_rows = head.weight.flatten(0, -2).shape[0]
    assert 0.03 * num_rows < sum(rows) / DRAWS <= 0.1 * num_rows + 1
    for name in ("embeddings", "weight"):
        found = torch.stack([draw[name] for draw in draws])
        spread = found.var(dim=0).sum().sqrt()
        assert spread > 0.01 * exact[name].norm()  # something is left out
        # the mean of independent draws; the square of its length is a sum of many terms, which hardly varies
        assert (found.mean(dim=0) - exact[name]).norm() <= 3 * spread / DRAWS**0.5


def test_as_many_classes_take_part_as_was_asked_for_where_all_push_alike():
    head, _, labels = made(losses.cosface(margin=0.0, scale=1e-3))
    rows = []
    for _ in range(DRAWS):
        head.backend = Chunked(7, backward_rate=0.5)
        gradients(head, torch.randn(BATCH, DIM, dtype=torch.float64), labels)
        rows.append(head.last_step.weight_rows_in_backward)
    assert abs(sum(rows) / DRAWS - 0.5 * CLASSES) < 1


def test_a_draw_at_the_end_of_its_range_makes_no_infinity(monkeypatch):
    head, embeddings, labels = made(losses.cosface(scale=64.0), dtype=torch.float32)
    with torch.no_grad():
        head.weight[0], head.weight[1:] = embeddings[0], -embeddings[0]
    embeddings, labels = embeddings[:1].expand(BATCH, -1), labels.clamp(min=2)
    head.backend = Chunked(7, backward_rate=0.1)
    monkeypatch.setattr(torch, "rand", lambda *size, generator, **new: torch.zeros(*size, **new))
    found = gradients(head, embeddings, labels)
    assert all(value.isfinite().all() for value in found.values())


def test_a_resumed_head_draws_the_same_and_disturbs_no_other_draws():
    head, embeddings, labels = made(backend=Chunked(7, backward_rate=0.1))
    gradients(head, embeddings, labels)
    saved = {name: value.clone() for name, value in head.state_dict().items()}
    before = torch.get_rng_state()
    first = gradients(head, embeddings, labels)
    assert torch.equal(torch.get_rng_state(), before)
    resumed, _, _ = made(backend=Chunked(7, backward_rate=0.1))
    resumed.load_state_dict(saved)
    for name, value in gradients(resumed, embeddings, labels).items():
        assert torch.equal(value, first[name])
    assert not torch.equal(gradients(head, embeddings, labels)["weight"], first["weight"])


def test_all_classes_take_part_out_of_training():
    head, embeddings, labels = made(backend=Chunked(7, backward_rate=0.1))
    exact, _, _ = made()
    for name, value in gradients(exact.eval(), embeddings, labels).items():
        assert torch.equal(gradients(head.eval(), embeddings, labels)[name], value)


NOT_PLAIN = [
    {"loss": "mv-am-softmax"},
    {"loss": "softmax"},
    {"loss": "soft-triple"},
    {"label_smoothing": 0.1},
]


@pytest.mark.parametrize("keywords", NOT_PLAIN, ids=str)
@pytest.mark.parametrize("setting", [{"backward_rate": 0.1}, {"negligible": 0.5}], ids=str)
def test_where_nothing_can_be_left_out_it_says_so(keywords, setting):
    (name,) = setting
    with pytest.warns(UserWarning, match=f"backend: {name}=.* leaves nothing out with this loss"):
        made(backend=Chunked(7, **setting), **keywords)


@pytest.mark.parametrize("keywords", NOT_PLAIN, ids=str)
@pytest.mark.filterwarnings("ignore:backend. backward_rate:UserWarning")
def test_only_plain_cosines_leave_classes_out(keywords):
    head, embeddings, labels = made(backend=Chunked(7, backward_rate=0.1), **keywords)
    found = gradients(head, embeddings, labels)
    assert head.last_step.weight_rows_in_backward == head.weight.flatten(0, -2).shape[0]
    head.backend = Chunked(7)
    for name, value in gradients(head, embeddings, labels).items():
        assert torch.equal(found[name], value)


def test_a_class_with_most_of_the_push_is_always_followed():
    head, embeddings, labels = made(losses.cosface(scale=64.0))
    labels = labels.clamp(min=1)
    embeddings = embeddings[:1] + 1e-3 * embeddings
    with torch.no_grad():
        head.weight[0] = embeddings[0]
    exact = gradients(head, embeddings, labels)["weight"][0]
    head.backend = Chunked(7, backward_rate=0.1)
    for _ in range(5):
        found = gradients(head, embeddings, labels)["weight"][0]
        torch.testing.assert_close(found, exact, rtol=1e-12, atol=0)
    assert head.last_step.weight_rows_in_backward < CLASSES / 2


def test_a_batch_that_does_not_push_has_a_gradient_of_zeros():
    head, _, labels = made(losses.cosface(margin=0.0), Chunked(7, backward_rate=0.1))
    with torch.no_grad():
        head.weight.zero_()
    found = gradients(head, torch.zeros(BATCH, DIM, dtype=torch.float64), labels)
    assert all(value.isfinite().all() for value in found.values())


def test_an_attached_optimizer_takes_the_same_step():
    moved = []
    for is_attached in (False, True):
        head, embeddings, labels = made(backend=Chunked(7, backward_rate=0.1))
        optimizer = torch.optim.SGD(head.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
        if is_attached:
            head.attach_optimizer(optimizer)
        for _ in range(3):
            optimizer.zero_grad()
            head(embeddings, labels).backward()
            optimizer.step()
        moved.append(head.weight.detach())
    torch.testing.assert_close(*moved, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("mode", ["stash", "recompute"])
@pytest.mark.filterwarnings(
    "ignore::RuntimeWarning"
)  # of numpy, which the interpreter computes with
def test_kernels_leave_out_the_same_classes_and_drawn_ones_among_them(mode):
    pytest.importorskip("triton", reason="there is no triton")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    found = []
    for kind in (Chunked, Fused):
        backend = Sampled(0.9, kind(16, mode=mode, backward_rate=0.2))
        head, embeddings, labels = made(backend=backend, dtype=torch.float32)
        found.append(gradients(head.to(device), embeddings.to(device), labels.to(device)))
        assert 0 < head.last_step.weight_rows_in_backward < 0.5 * CLASSES
    for name, value in found[0].items():
        # float32 rounds scores of up to 64 to 4e-6
        torch.testing.assert_close(found[1][name], value, rtol=1e-4, atol=2e-5)
