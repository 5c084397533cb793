import threading
import time

from proxyctl.wakeup import Ring, Wakeup


def test_rings_in_a_burst_are_one_waking():
    wakeup = Wakeup(quiet=0.05, patience=1.0)
    wakeup.ring("a")
    wakeup.ring("a")
    wakeup.ring("b", "id")

    assert wakeup.wait(1) == {Ring("a"), Ring("b", "id")}
    assert wakeup.wait(0) == frozenset()


def test_a_burst_without_end_does_not_wait_for_ever():
    wakeup = Wakeup(quiet=10, patience=0.05)
    wakeup.ring("a")

    assert wakeup.wait(30) == {Ring("a")}


def test_silence_is_told_as_no_rings():
    assert Wakeup().wait(0.01) == frozenset()


def test_who_reads_everything_covers_the_rings_for_everything_and_no_others():
    wakeup = Wakeup()
    wakeup.ring("podman:")
    wakeup.ring("files")
    wakeup.ring("api", "drain a")

    wakeup.cover()

    assert wakeup.rung
    assert wakeup.wait(1) == {Ring("api", "drain a")}
    assert not wakeup.rung


def test_closing_ends_the_waiting():
    wakeup = Wakeup()
    threading.Timer(0.02, wakeup.close).start()
    begin = time.monotonic()

    wakeup.wait(60)

    assert wakeup.closed
    assert time.monotonic() - begin < 30
