import pytest
import torch

from gonio.train.deterministic import deterministic

CPU = torch.device("cpu")


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def gradient_of_a_gather():
    """Of rows that were read two hundred times each: both threads add to all of them."""
    generator = torch.Generator().manual_seed(0)
    table = torch.randn(50, 64, generator=generator).requires_grad_()
    rows = torch.randint(50, (10_000,), generator=generator)
    (table[rows] * torch.randn(10_000, 64, generator=generator)).sum().backward()
    return table.grad.numpy().tobytes()


@pytest.mark.usefixtures("two_threads")
def test_two_threads_add_in_one_order():
    with deterministic(CPU):
        assert len({gradient_of_a_gather() for _ in range(20)}) == 1


@pytest.mark.parametrize("was_on", [False, True])
def test_what_was_set_is_put_back(was_on):
    def settings():
        return (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        )

    torch.use_deterministic_algorithms(was_on)
    try:
        before = settings()
        with deterministic(CPU):
            assert torch.are_deterministic_algorithms_enabled()
        assert settings() == before
    finally:
        torch.use_deterministic_algorithms(False)


def test_other_devices_are_left_alone():
    with deterministic(torch.device("cuda")):
        assert not torch.are_deterministic_algorithms_enabled()
