"""What pure functions returned lately: a change costs what changed, not all there is."""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class Recent:
    """Results by key, used again while their arguments are equal. Belongs to one thread.

    The same objects are equal at once: what did not change is not looked into.
    """

    def __init__(self) -> None:
        self.turns = 0
        """So many times everything was asked for anew."""
        self._now: dict[Hashable, tuple[tuple[object, ...], Any]] = {}
        self._before: dict[Hashable, tuple[tuple[object, ...], Any]] = {}

    def of(self, key: Hashable, arguments: tuple[Any, ...], function: Callable[..., T]) -> T:
        """Return `function(*arguments)`, which depends on nothing else.

        One result is kept for each *key*.
        """
        kept = self._now.get(key) or self._before.get(key)
        if kept is None or kept[0] != arguments:
            kept = (arguments, function(*arguments))
        self._now[key] = kept
        result: T = kept[1]
        return result

    def turn(self) -> None:
        """Forget what was not asked for since the last turn."""
        self._before, self._now = self._now, {}
        self.turns += 1
