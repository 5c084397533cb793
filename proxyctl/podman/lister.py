"""Podman's two lists of everything, fetched beside the work: they take 2.5 ms for a container."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass

from proxyctl.podman.client import PodmanApi
from proxyctl.podman.shapes import Json


@dataclass(frozen=True, slots=True)
class Listing:
    """What both lists told: libpod's, and the compatible one, which has the addresses."""

    entries: list[Json]
    compat: list[Json]


def fetched(api: PodmanApi) -> Listing:
    """Ask for both lists now. Raises SourceUnavailable."""
    return Listing(api.list_containers(), api.list_compat())


class Lister:
    """At most one listing that is under way, or there to be taken. Belongs to one thread.

    What is read again meanwhile is newer than the listing, and `since` remembers of what.
    """

    def __init__(self, connect: Callable[[], PodmanApi]) -> None:
        """Fetch through a connection of its own, from `connect`."""
        self.since: set[str] = set()
        """Ids that were read again since the fetch began."""
        self._connect = connect
        self._future: Future[Listing] | None = None

    @property
    def busy(self) -> bool:
        """Tell whether a listing is under way, or there."""
        return self._future is not None

    def done(self) -> bool:
        """Tell whether a listing, or the reason why there is none, is there; begin if not."""
        if self._future is None:
            self._future, self.since = Future(), set()
            work = threading.Thread(
                target=_fetch, args=(self._connect, self._future), name="lists", daemon=True
            )
            work.start()
        return self._future.done()

    def take(self) -> Listing | None:
        """Return the listing, which is then no longer there; None if none is. Raises as a read."""
        if self._future is None or not self._future.done():
            self.drop()
            return None
        future, self._future = self._future, None
        return future.result()

    def drop(self) -> None:
        """Forget a listing: what it told, or will tell, is of before."""
        self._future, self.since = None, set()


def _fetch(connect: Callable[[], PodmanApi], future: Future[Listing]) -> None:
    try:
        with closing(connect()) as api:
            future.set_result(fetched(api))
    except Exception as error:  # noqa: BLE001 - raised where it is taken
        future.set_exception(error)
