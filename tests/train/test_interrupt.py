import signal
import threading

import pytest

from gonio.train.interrupt import catch_signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_a_wish_and_the_second_is_obeyed(number):
    with catch_signals() as caught:
        assert caught() is None
        signal.raise_signal(number)
        assert caught() == number
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_the_handlers_are_put_back():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with catch_signals():
        assert signal.getsignal(signal.SIGINT) != before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_thread_trains_without_catching_signals():
    found = []

    def work():
        with catch_signals() as caught:
            found.append(caught())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [None]
