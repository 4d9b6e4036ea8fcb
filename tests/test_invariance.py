"""What a loss must not see: how long the embeddings or the class weights are, where it only asks angles."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import gonio
from gonio import losses

DIM, CLASSES, SIZE = 6, 7, 8

READS_THE_NORM = {
    "softmax",
    "focal",
    "hm-softmax",
    "l-softmax",
    "sphereface",
    "adaface",
    "magface",
    "logit-adjustment",
    "center-loss",
    "ring-loss",
    "regularface",
    "uniformface",
}
WEIGHT_NORM_TOO = READS_THE_NORM - {"sphereface", "adaface", "magface"} | {"l2-softmax"}
INVARIANT = [name for name in losses.names() if name not in READS_THE_NORM]

lengths = st.lists(st.floats(-3, 3), min_size=SIZE, max_size=SIZE)


def made(name, seed=0):
    torch.manual_seed(seed)
    counts = torch.arange(1, CLASSES + 1)
    head = gonio.Head(DIM, CLASSES, name, dtype=torch.float64, class_counts=counts).eval()
    # norms of 10 to 110 and about 20, where each of these losses does look at them
    x = 40 * torch.nn.functional.normalize(torch.randn(SIZE, DIM, dtype=torch.float64))
    return head, x, torch.randint(0, 3, (SIZE,))


@settings(max_examples=60)
@given(st.sampled_from(INVARIANT), lengths, st.integers(0, 2**31))
def test_the_length_of_an_embedding_says_nothing(name, powers, seed):
    head, x, labels = made(name, seed)
    longer = x * 10 ** torch.tensor(powers, dtype=torch.float64)[:, None]
    found = head(longer, labels, reduction="none")
    wanted = head(x, labels, reduction="none")
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", INVARIANT)
def test_no_gradient_changes_the_length_of_an_embedding(name):
    head, x, labels = made(name)
    x.requires_grad_()
    head(x, labels, reduction="sum").backward()
    along = (x * x.grad).sum(dim=1).abs()
    # 1e-12 of the gradient times the norm is rounding
    assert (along <= 1e-12 * (1 + x.grad.norm(dim=1) * x.norm(dim=1))).all()


@pytest.mark.parametrize("name", sorted(READS_THE_NORM))
def test_the_others_do_read_it(name):
    head, x, labels = made(name)
    assert not torch.allclose(head(1.5 * x, labels), head(x, labels), rtol=1e-6)


@settings(max_examples=60)
@given(
    st.sampled_from([name for name in losses.names() if name not in WEIGHT_NORM_TOO]),
    st.lists(st.floats(-3, 3), min_size=CLASSES, max_size=CLASSES),
    st.integers(0, 2**31),
)
def test_the_length_of_a_class_weight_says_nothing(name, powers, seed):
    head, x, labels = made(name, seed)
    wanted = head(x, labels, reduction="none")
    if head.weight is None:
        return
    factor = 10 ** torch.tensor(powers, dtype=torch.float64)
    with torch.no_grad():
        head.weight.mul_(factor.view(-1, *[1] * (head.weight.ndim - 1)))
    found = head(x, labels, reduction="none")
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)
