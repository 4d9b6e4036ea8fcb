import signal
import threading

import pytest

from gonio.train.interrupt import SIGNALS, catch_signals


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_a_wish_and_the_second_is_obeyed(number):
    with catch_signals() as caught:
        assert caught() is None
        signal.raise_signal(number)
        assert caught() == number
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_the_handlers_are_put_back():
    before = [signal.getsignal(one) for one in SIGNALS]
    with catch_signals():
        assert all(signal.getsignal(one) not in before for one in SIGNALS)
    assert [signal.getsignal(one) for one in SIGNALS] == before


def test_a_signal_that_is_ignored_stays_so():
    """`nohup gonio train ...` goes on when its terminal is closed."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with catch_signals() as caught:
            signal.raise_signal(signal.SIGHUP)
            assert caught() is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_thread_trains_without_catching_signals():
    found = []

    def work():
        with catch_signals() as caught:
            found.append(caught())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [None]
