import gc
import weakref
from collections.abc import Iterator

import pytest

from proxyctl.litter import THOROUGH, Litter


class Ring:
    """Something that holds itself."""

    def __init__(self) -> None:
        self.me = self


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    gc.enable()
    gc.unfreeze()


def test_nothing_is_looked_through_while_there_is_work() -> None:
    Litter()

    ring = weakref.ref(Ring())
    _values = [[number] for number in range(100_000)]

    assert ring() is not None


def test_what_is_new_and_nobodys_goes_with_a_sweep() -> None:
    litter = Litter()
    ring = weakref.ref(Ring())

    litter.sweep()

    assert ring() is None


def test_what_has_stayed_is_looked_through_only_when_it_is_time() -> None:
    clock = Clock()
    litter = Litter(clock)
    held = Ring()
    ring = weakref.ref(held)
    litter.sweep()
    del held

    litter.sweep()
    early = ring() is None
    clock.now = THOROUGH
    litter.sweep()

    assert (early, ring() is None) == (False, True)


def test_a_thorough_sweep_looks_through_everything_at_once() -> None:
    litter = Litter()
    held = Ring()
    ring = weakref.ref(held)
    litter.keep()
    del held

    litter.sweep(thorough=True)

    assert ring() is None
