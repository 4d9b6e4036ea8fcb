import torch

from gonio.base.opaque import rows_at


def test_rows_that_are_taken_several_times_add_up_in_their_order():
    """On two threads as on one: to the bit, what a loop over the rows makes."""
    table = torch.zeros(50, 64, requires_grad=True)
    labels, grad = torch.randint(0, 50, (2000,)), torch.randn(2000, 64)
    expected = torch.zeros(50, 64)
    for label, row in zip(labels, grad, strict=True):
        expected[label] += row
    torch.set_num_threads(2)
    try:
        for _ in range(3):
            (found,) = torch.autograd.grad(rows_at(table, labels), table, grad)
            assert torch.equal(found, expected)
    finally:
        torch.set_num_threads(1)
