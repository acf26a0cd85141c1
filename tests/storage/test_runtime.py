"""Pausing the garbage collector, and giving it back as it was."""

import gc
import threading

import pytest

from acg_lab.storage._runtime import paused_collector


@pytest.fixture(params=[True, False], ids=["enabled", "disabled"])
def enabled(request):
    """Whether the collector ran before."""
    if not request.param:
        gc.disable()
    yield request.param
    gc.enable()


def test_it_is_given_back_as_it_was(enabled):
    """Pauses may hold each other; the outermost gives the collector back, whatever ended it."""
    with pytest.raises(ZeroDivisionError), paused_collector(), paused_collector():
        assert 1 / gc.isenabled()
    assert gc.isenabled() == enabled


def test_pauses_of_two_threads_overlap(enabled):
    """One that began first and ends first leaves the collector paused for the other."""
    begun, end = threading.Event(), threading.Event()

    def other():
        with paused_collector():
            begun.set()
            end.wait(10)

    thread = threading.Thread(target=other)
    with paused_collector():
        thread.start()
        assert begun.wait(10)
    assert not gc.isenabled()
    end.set()
    thread.join(10)
    assert gc.isenabled() == enabled
