"""The collector of garbage: not while there is work, and never twice through the same values.

What a cycle makes are values that hold no ring of references: they go by themselves as soon as
nobody holds them. Python would look through all of them for rings again and again, with 5 000
pods for 0.2 s each time, and in the midst of a change. So it is told when: what is new is looked
through after the work (`sweep`), and what stays is left alone until the next thorough sweep.
"""

import gc
import time
from collections.abc import Callable

THOROUGH = 600.0
"""Seconds between two looks through everything: what has stayed may have become garbage."""


class Litter:
    """What the work of this process leaves behind. Belongs to one thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """From now on nothing is looked through but by `sweep`; `clock` is in seconds."""
        gc.disable()
        self._clock = clock
        self._thorough = clock() + THOROUGH

    def keep(self) -> None:
        """Take everything there is for something that stays, without a look at it."""
        gc.freeze()

    def sweep(self, *, thorough: bool = False) -> None:
        """Free what nobody holds any more, of what is new; of everything, if it is time."""
        if thorough or self._clock() >= self._thorough:
            self._thorough = self._clock() + THOROUGH
            gc.unfreeze()
        gc.collect()
        gc.freeze()
