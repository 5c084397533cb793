"""The status API: GET requests over a unix socket, answered from the view as it is now.

POST /v1/state?workload=X&state=drain|maint|ready asks for a state by hand: 202, it comes with the
next cycle.

/v1/status  /v1/routes  /v1/problems  /v1/plan
/v1/events?since=N  /v1/explain?target=X  /v1/render[?workload=X]
"""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from waitress.server import create_server

from proxyctl.problems import NotPermitted, ProxyctlError
from proxyctl.state.model import ServerState
from proxyctl.status import answers
from proxyctl.status.answers import Document
from proxyctl.status.certificates import certificates
from proxyctl.status.explain import explanation
from proxyctl.status.view import View

_MODE = "660"
_LOOK = 30
"""Seconds that the loop waits for a request; waitress's own 1 s would wake us for nothing."""
_LONGEST_EVENT_NUMBER = 18

Query = Mapping[str, str]
Reply = tuple[str, Document]
StartResponse = Callable[[str, list[tuple[str, str]]], object]


def answer(view: View, path: str, query: Query, *, now: float) -> Reply:
    """Return the HTTP status and the document for a GET request."""
    match path:
        case "/v1/status":
            return "200 OK", answers.status(view, now=now)
        case "/v1/routes":
            return "200 OK", answers.routes(view)
        case "/v1/problems":
            return "200 OK", answers.problems(view)
        case "/v1/plan":
            return "200 OK", answers.plan(view)
        case "/v1/render":
            return "200 OK", answers.rendered(view, query.get("workload"))
        case "/v1/certificates":
            return "200 OK", certificates(view)
        case "/v1/events":
            return _events(view, query.get("since", "0"))
        case "/v1/explain":
            return _explain(view, query.get("target", ""))
        case _:
            return "404 Not Found", answers.failure(f"there is no {path}")


def _events(view: View, since: str) -> Reply:
    if since.isascii() and since.isdigit() and len(since) <= _LONGEST_EVENT_NUMBER:
        return "200 OK", answers.changes(view, int(since))
    return "400 Bad Request", answers.failure("since: expected the number of a change")


def _explain(view: View, target: str) -> Reply:
    if target:
        return "200 OK", explanation(view, target)
    return "400 Bad Request", answers.failure("target: expected a workload, host or URL")


class StatusServer:
    """Serves the view on a unix socket from threads of its own."""

    def __init__(
        self,
        path: Path,
        get_view: Callable[[], View],
        set_state: Callable[[ServerState, str], None] = lambda _state, _name: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Answer on `path`, from the view that `get_view` returns at the moment of the request.

        `set_state` hands on that somebody wants the workloads of a name in a state.
        """
        self._path = path
        self._set_state = set_state
        self._get_view = get_view
        self._now = now
        self._server: Any = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Bind the socket, in place of a dead one, and answer until `stop`.

        Raises ProxyctlError where another service answers there, NotPermitted where the folder
        cannot be written.
        """
        if _is_answered(self._path):
            raise ProxyctlError(f"another proxyctl runs already: it answers on {self._path}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._server = create_server(
                self._application,
                unix_socket=str(self._path),
                unix_socket_perms=_MODE,
                threads=2,
                asyncore_loop_timeout=_LOOK,
                ident=None,
            )
        except PermissionError as error:
            raise NotPermitted(f"cannot create the socket {self._path}: {error}") from error
        except OSError as error:
            raise ProxyctlError(f"cannot create the socket {self._path}: {error}") from error
        self._thread = threading.Thread(target=self._server.run, name="status", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop answering and remove the socket; a second call does nothing."""
        server, self._server = self._server, None
        if server is None:
            return
        # The workers first: they write to the trigger's pipe, which is closed next, and that in
        # the loop's own thread, so that no socket is closed under its feet.
        server.task_dispatcher.shutdown(timeout=1.0)
        # The loop may be awake already, and run what it is handed before the pull has written to
        # the pipe: it must not close the pipe until then.
        pulled = threading.Event()
        with suppress(OSError):  # a loop that has ended by itself has closed its pipe
            server.trigger.pull_trigger(lambda: _close(server, after=pulled))
        pulled.set()
        if self._thread:
            # Until its loop has ended it may close file descriptors that are others' by then.
            self._thread.join(timeout=0.5)
        self._path.unlink(missing_ok=True)

    def _state(self, query: Query) -> Reply:
        view, name, state = self._get_view(), query.get("workload", ""), query.get("state", "")
        if state not in set(ServerState):
            return "400 Bad Request", answers.failure("state: expected drain, maint or ready")
        if all(claim.workload.name != name for claim in view.claims):
            return "404 Not Found", answers.failure(f"no published workload is called {name!r}")
        self._set_state(ServerState(state), name)
        return "202 Accepted", answers.routes(view)

    def _application(
        self, environ: Mapping[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
        pairs = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
        query = {name: values[-1] for name, values in pairs.items()}
        if method == "GET":
            status, content = answer(self._get_view(), path, query, now=self._now())
        elif method == "POST" and path == "/v1/state":
            status, content = self._state(query)
        else:
            status, content = "405 Method Not Allowed", answers.failure(f"{method}: only GET")
        body = json.dumps(content).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        start_response(status, headers + [("Allow", "GET")] * status.startswith("405"))
        return [body]


def _close(server: Any, *, after: threading.Event) -> None:
    """Close everything that the loop waits for: it ends when nothing is left."""
    after.wait(1)
    for channel in list(server.active_channels.values()):
        channel.handle_close()
    server.close()


def _is_answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True
