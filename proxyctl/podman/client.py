"""The few questions that we ask Podman, over podman-py. Every failure is a SourceUnavailable.

podman-py's `APIClient` is used without the `PodmanClient` around it: that one reads
~/.config/containers/containers.conf even when it is told the URL, so that a HOME that cannot be
read or a broken file there would stop us (podman-py 5.8.0). A client belongs to one thread.
"""

import errno
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from json import dumps
from typing import Any
from urllib.parse import quote

from proxyctl.podman.shapes import Json
from proxyctl.problems import SourceUnavailable

API_VERSION = "4.0.0"
"""The oldest that Podman 4.3 to 5.8 answer to; podman-py would ask for its own version."""

PATIENCE = 10.0
"""Seconds for a list: 200 pods take 1.1 s (4.3.1); a start of a pod holds lists up for 0.6 s."""

SINGLE_PATIENCE = 3.0
"""Seconds for one object. A start holds its container for 0.5 s, a stop its pod until the end."""

_FAILURES = (OSError, ValueError, TypeError, AttributeError)
"""What podman-py lets through: its own and requests' errors are OSError, JSON's is ValueError, and
`null` in the wrong place is one of the others."""


class Unreadable(SourceUnavailable):
    """Podman is there, but did not describe this one object: an error about it, or no answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """What never changes while a Podman service runs."""

    version: str
    rootless: bool
    event_logger: str
    """`file` and `journald` tell events; `none` does not."""


class PodmanApi:
    """Podman's API as far as we need it. Opens its connection at the first question."""

    def __init__(self, url: str, *, patience: float = PATIENCE) -> None:
        """Ask at `url` (`unix:///run/podman/podman.sock`, or a path), `patience` s a question."""
        self.url = f"unix://{url}" if url.startswith("/") else url
        self._patience = patience
        self._session: Any = None

    def list_containers(self, *, pod: str = "") -> list[Json]:
        """Return libpod's list of all containers, or of those of one pod. Never blocks on a stop.

        A pod that is not there has no containers (4.3.1).
        """
        params = {"all": "true"}
        if pod:
            params["filters"] = dumps({"pod": [pod]})
        return _objects(self._get("/containers/json", params=params), "containers/json")

    def list_compat(self) -> list[Json]:
        """Return the Docker-compatible list of all containers: the one with the addresses."""
        answer = self._get("/containers/json", params={"all": "true"}, compatible=True)
        return _objects(answer, "the compatible containers/json")

    def inspect_container(self, identity: str) -> Json | None:
        """Return libpod's inspect of a container; None if there is none. Raises Unreadable."""
        return self._inspect(f"/containers/{quote(identity, safe='')}/json")

    def inspect_pod(self, identity: str) -> Json | None:
        """Return the inspect of a pod; None if there is none. Raises Unreadable.

        Blocks while the pod is being stopped, restarted or removed, and then gives up.
        """
        return self._inspect(f"/pods/{quote(identity, safe='')}/json")

    def inspect_image(self, identity: str) -> Json | None:
        """Return the inspect of an image; None if there is none. Raises Unreadable."""
        return self._inspect(f"/images/{quote(identity, safe='')}/json")

    def info(self) -> Info:
        """Return what Podman says of itself. Takes 0.3 to 1 s: ask once per connection."""
        raw = self._get("/info")
        try:
            return Info(
                version=str(raw["version"]["Version"]),
                rootless=raw["host"]["security"]["rootless"] is True,
                event_logger=str(raw["host"].get("eventLogger", "")),
            )
        except (KeyError, *_FAILURES) as error:
            raise SourceUnavailable(
                f"{self.url} answers, but not like Podman: {error!r}"
            ) from error

    def open_events(self, since: int) -> Any:
        """Return the open response (requests.Response) of the event stream from `since` on.

        A stream without `since` can stay deaf (Podman >= 5.4 with journald).
        """
        params = {"stream": "true", "since": str(since)}
        response = self._request("/events", params=params, stream=True)
        if response.status_code != 200:
            raise SourceUnavailable(f"Podman gives no events: {_complaint(response)}")
        return response

    def close(self) -> None:
        """Close the connection; the next question opens another one."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _inspect(self, path: str) -> Json | None:
        patience = min(SINGLE_PATIENCE, self._patience)
        answer = self._get(path, patience=patience, single=True)
        if answer is None:
            return None
        if not isinstance(answer, Mapping):
            raise Unreadable(f"Podman answers {path} with {answer!r:.60}")
        return answer

    def _get(self, path: str, *, single: bool = False, **options: Any) -> Any:
        """Return the JSON at `path`; of a `single` object, None if it is gone, else Unreadable."""
        response = self._request(path, single=single, **options)
        if single and _is_gone(response):
            return None
        if response.status_code != 200:
            kind = Unreadable if single else SourceUnavailable
            raise kind(f"Podman refuses {path}: {_complaint(response)}")
        try:
            return response.json()
        except _FAILURES as error:
            raise SourceUnavailable(f"{self.url} answers {path} with what is no JSON") from error

    def _request(
        self, path: str, *, patience: float = 0, single: bool = False, **options: Any
    ) -> Any:
        try:
            return self._connected().get(path, timeout=patience or self._patience, **options)
        except _FAILURES as error:
            if single and _is_late(error):
                raise Unreadable(f"Podman does not answer {path}") from error
            self.close()
            raise SourceUnavailable(_advice(self.url, error)) from error

    def _connected(self) -> Any:
        if self._session is None:
            # 0.3 s and 29 MB: only for those who ask.
            from podman.api import APIClient  # noqa: PLC0415

            self._session = APIClient(
                base_url=self.url, version=API_VERSION, timeout=self._patience
            )
        return self._session


def _objects(answer: object, path: str) -> list[Json]:
    """Return the list's objects; anything else in it is left to nobody's imagination."""
    if not isinstance(answer, list):
        raise SourceUnavailable(f"Podman answers {path} with {answer!r:.60}, not a list")
    return [entry for entry in answer if isinstance(entry, Mapping)]


def _complaint(response: Any) -> str:
    """Return what a response with an error says, on one line."""
    try:
        words = str(response.json()["message"])
    except (KeyError, *_FAILURES):
        words = "no reason given"
    return f"HTTP {response.status_code}: {' '.join(words.split()):.200}"


def _is_gone(response: Any) -> bool:
    """Tell whether Podman says that there is no such object.

    What is removed while it is asked for is no 404, but "no such container" with 500 (4.3.1).
    """
    if response.status_code == 500:
        return _complaint(response).endswith(("no such container", "no such pod"))
    return bool(response.status_code == 404)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it was made from: podman-py wraps what happened up to four times."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__


def _is_late(error: BaseException) -> bool:
    return any(isinstance(link, TimeoutError) or _named_timeout(link) for link in _chain(error))


def _named_timeout(error: BaseException) -> bool:
    # urllib3's and requests' are no TimeoutError, and importing them here would cost 0.2 s.
    return type(error).__name__ in ("ReadTimeout", "ReadTimeoutError")


def _advice(url: str, error: BaseException) -> str:
    """Return what is wrong with the connection, and what to do about it."""
    systemctl = "systemctl --user" if "/run/user/" in url else "systemctl"
    numbers = {link.errno for link in _chain(error) if isinstance(link, OSError)}
    links = list(_chain(error))
    if any(isinstance(link, PermissionError) for link in links):
        return (
            f"not permitted to use Podman's socket {url}: run as root, or as a member of its group"
        )
    if any(isinstance(link, FileNotFoundError) for link in links):
        return f"there is no Podman socket at {url}: {systemctl} enable --now podman.socket"
    if any(isinstance(link, ConnectionRefusedError) for link in links):
        return f"nobody listens on Podman's socket {url}: {systemctl} restart podman.socket"
    if _is_late(error) or errno.EAGAIN in numbers:
        return f"Podman does not answer at {url}: {systemctl} status podman.service"
    return f"Podman at {url} cannot be asked: {links[-1]}"
