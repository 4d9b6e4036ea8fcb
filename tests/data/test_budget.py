import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from gonio.data.budget import PixelBudget


def test_no_more_is_held_than_there_is_and_everybody_gets_a_turn():
    budget, lock, held, most = PixelBudget(100), threading.Lock(), [0], [0]

    def hold(pixels):
        with budget.take(pixels):
            with lock:
                held[0] += pixels
                most[0] = max(most[0], held[0])
            threading.Event().wait(0.001)
            with lock:
                held[0] -= pixels
        return pixels

    asked = [100, 60, 30, 10, 50, 50, 1] * 20
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(hold, asked)) == asked
    assert most == [100]


def test_what_failed_is_given_back():
    budget = PixelBudget(100)
    with pytest.raises(OSError, match="broken"), budget.take(100):
        raise OSError("broken")
    with budget.take(100):
        pass
