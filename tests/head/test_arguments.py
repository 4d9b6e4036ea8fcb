"""What people pass to a head: read for what it is, or refused by the argument's name."""

import numpy as np
import pytest
import torch

import gonio
from gonio import losses

DIM, CLASSES = 4, 6
LABELS = torch.tensor([0, 5, 2, 2, 1])
X = torch.randn(5, DIM, generator=torch.Generator().manual_seed(0)) * 4


def head_of(loss="arcface", **keywords):
    torch.manual_seed(1)
    return gonio.Head(DIM, CLASSES, loss, **keywords)


@pytest.mark.parametrize(
    "labels",
    [
        LABELS.numpy(),
        LABELS.numpy()[::-1].copy()[::-1],
        LABELS.tolist(),
        tuple(LABELS),
        LABELS[:, None],
        LABELS.to(torch.uint8),
        LABELS.numpy().astype(np.int8)[:, None],
        torch.nn.functional.one_hot(LABELS, CLASSES).double().tolist(),
    ],
    ids=["array", "strides", "list", "tuple", "column", "bytes", "short column", "probabilities"],
)
def test_labels_are_read_for_what_they_are(labels):
    head = head_of()
    torch.testing.assert_close(head(X, labels), head(X, LABELS))


def test_measure_reads_labels_as_forward_does():
    head = head_of()
    right, angle = head.measure(X, LABELS.tolist())
    assert torch.equal(right, head.measure(X, LABELS)[0])
    assert torch.equal(angle, head.measure(X, LABELS[:, None])[1])


def test_a_batch_without_samples_may_have_an_empty_list_of_labels():
    assert head_of()(X[:0], []).item() == 0


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (None, "got None; pass a tensor, an array or a list of numbers"),
        ([str(label) for label in LABELS.tolist()], "got .*pass a tensor"),
        ({0: 1}, "got .*pass a tensor"),
        ([[0], [1, 2], [3], [4], [5]], "got .*pass a tensor"),
        (LABELS.double().tolist(), "pass integers"),
        ((LABELS > 2).tolist(), "pass integers"),
        (LABELS.double()[:, None], r"float64\[5, 1\] does not match batch and classes"),
        (torch.tensor(3), "one label for each row"),
        (torch.nn.functional.one_hot(LABELS), "one-hot labels are given as floating point"),
        (LABELS[:, None, None], "one label for each row"),
    ],
)
def test_what_is_no_label_is_named(labels, words):
    with pytest.raises((TypeError, ValueError), match=f"^labels: .*{words}"):
        head_of()(X, labels)


@pytest.mark.parametrize("embeddings", [None, X.numpy(), X.tolist()], ids=["None", "array", "list"])
def test_embeddings_that_are_no_tensor_are_named(embeddings):
    """They would have no gradient."""
    for use in (head_of(), head_of().measure):
        with pytest.raises(TypeError, match=r"^embeddings: .* is not a tensor"):
            use(embeddings, LABELS)


def test_sizes_come_out_of_arrays():
    head = gonio.Head(np.int64(DIM), np.int32(CLASSES), ignore_index=np.int64(-1))
    assert (head.embedding_dim, head.num_classes, head.ignore_index) == (DIM, CLASSES, -1)
    assert type(head.num_classes) is type(head.ignore_index) is int


@pytest.mark.parametrize(
    ("argument", "values"),
    [
        ("embedding_dim", [4.0, "4", True, None, [4]]),
        ("num_classes", [6.0, torch.tensor([6]), np.bool_(True)]),
        ("ignore_index", ["x", 1.5, True, [1]]),
        ("label_smoothing", ["x", None, [0.1], True]),
        ("class_counts", [{0: 1}, "many", [[1], [2, 3]], [None] * CLASSES]),
        (
            "class_weight",
            [dict.fromkeys(range(CLASSES), 1.0), [1.0] * 5, [1e31] * CLASSES, [1j] * 6],
        ),
    ],
)
def test_an_argument_of_another_kind_is_named(argument, values):
    for value in values:
        with pytest.raises((TypeError, ValueError), match=rf"^{argument}: "):
            gonio.Head(**{"embedding_dim": DIM, "num_classes": CLASSES, argument: value})


def test_what_is_set_later_is_checked_as_at_first():
    head = head_of()
    head.ignore_index = np.int16(5)
    assert head(X, LABELS, reduction="none")[1].item() == 0
    for argument in ("ignore_index", "label_smoothing"):
        with pytest.raises(TypeError, match=rf"^{argument}: got 'x'"):
            setattr(head, argument, "x")


def test_numbers_of_classes_and_of_samples_may_be_lists_and_arrays():
    counts = torch.arange(1, CLASSES + 1)
    given = head_of("ldam", class_counts=counts.numpy(), class_weight=counts.tolist())
    same = head_of("ldam", class_counts=counts, class_weight=counts.float())
    weights = torch.rand(5)
    found = given(X, LABELS, sample_weight=weights.tolist())
    torch.testing.assert_close(found, same(X, LABELS, sample_weight=weights))
    mass = torch.tensor([[0.25, 0.75]]).expand(5, 2)
    several = torch.stack([LABELS, LABELS.flip(0)], dim=1)
    found = given(X, several.tolist(), label_mass=mass.numpy())
    torch.testing.assert_close(found, same(X, several, label_mass=mass))


MARGINS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]


@pytest.mark.parametrize(
    "given", [np.array(MARGINS), torch.tensor(MARGINS, dtype=torch.float64), MARGINS]
)
def test_margins_of_classes_are_in_their_order(given):
    assert gonio.PerClass(given) == gonio.PerClass(tuple(MARGINS))


@pytest.mark.parametrize(
    "given",
    [
        dict(enumerate(MARGINS)),
        set(MARGINS),
        "0.1",
        0.1,
        [MARGINS],
        np.array([MARGINS]),
        [True] * 6,
        torch.nn.Parameter(torch.tensor(MARGINS)),
    ],
    ids=lambda given: type(given).__name__,
)
def test_what_has_no_number_for_each_class_in_order_is_refused(given):
    with pytest.raises((TypeError, ValueError), match=r"^values"):
        gonio.PerClass(given)


@pytest.mark.parametrize("by", ["samples", "classes", "both"])
@pytest.mark.parametrize("unit", [1e-30, 1.0, 1e30])
def test_a_weighted_mean_has_no_unit(by, unit):
    """sum w l / sum w; the product of both weights would be 1e60."""
    shares = torch.tensor([0.5, 1, 0.25, 1, 1], dtype=torch.float64)
    of_class = torch.full((CLASSES,), unit, dtype=torch.float64) if by != "samples" else None
    per_sample = head_of()(X, LABELS, reduction="none").double()
    found = head_of(class_weight=of_class)(
        X, LABELS, sample_weight=shares * (unit if by != "classes" else 1)
    )
    torch.testing.assert_close(found.double(), (per_sample * shares).sum() / shares.sum())


def test_a_mean_of_nothing_is_zero():
    head = head_of(ignore_index=-1)
    assert head(X, LABELS, sample_weight=torch.zeros(5)).item() == 0
    assert head(X, torch.full((5,), -1), sample_weight=torch.ones(5)).item() == 0


@pytest.mark.parametrize("loss", ["softmax", "l2-softmax", "l-softmax", "center-loss"])
@pytest.mark.parametrize("backend", ["reference", "chunked"])
@pytest.mark.filterwarnings("ignore:.*autograd:UserWarning")
def test_a_class_that_scores_minus_infinity_is_named(loss, backend):
    """It has no part in the loss of any sample, and makes every gradient NaN."""
    head = head_of(loss, backend=backend)
    with torch.no_grad():
        head.weight[4, 1] = -torch.inf
    with pytest.raises(ValueError, match=r"^weight: class 4 is not finite; go back"):
        head(X.abs(), LABELS)
    with torch.no_grad():
        assert head.eval()(X.abs(), LABELS).isfinite()


def test_finite_weights_of_any_size_are_not_refused():
    head = gonio.Head(DIM, 5000, losses.softmax(), dtype=torch.float16)
    with torch.no_grad():
        head.weight.fill_(60.0)  # their sum is no float16
    head(X.half(), LABELS).backward()
