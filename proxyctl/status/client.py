"""Asking the service over its unix socket. Imports nothing heavy: `proxyctl ls` starts with it."""

import json
import socket
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from proxyctl.problems import NotPermitted, ProxyctlError

_TIMEOUT = 10.0


class ServiceNotRunning(ProxyctlError):  # noqa: N818 - a state of the world, not a mistake
    """Nobody listens on the service's socket, or nobody answers there."""

    exit_code = 3


class UnixConnection(HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("proxyctl", timeout=timeout)
        self._path = str(path)

    def connect(self) -> None:
        """Connect to the socket's path instead of a host."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def get(
    socket_path: Path, path: str, timeout: float = _TIMEOUT, *, method: str = "GET"
) -> dict[str, Any]:
    """Return the document at *path* (`/v1/status`), waiting `timeout` seconds at most.

    Raises ServiceNotRunning, NotPermitted, or ProxyctlError with the service's own words.
    """
    connection = UnixConnection(socket_path, timeout)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        answer = json.loads(response.read())
    except PermissionError as error:
        hint = "be root, or in the group that owns the socket"
        raise NotPermitted(f"may not ask the service on {socket_path}: {hint}") from error
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise ServiceNotRunning(f"the service does not run (nobody on {socket_path})") from error
    except (OSError, HTTPException, ValueError) as error:
        why = str(error) or type(error).__name__
        raise ServiceNotRunning(f"the service on {socket_path} does not answer: {why}") from error
    finally:
        connection.close()
    if response.status not in {200, 202} or not isinstance(answer, dict):
        raise ProxyctlError(f"the service answered {response.status}: {_words(answer)}")
    return answer


def _words(answer: object) -> str:
    return str(answer.get("error", "")) if isinstance(answer, dict) else "not one of its documents"
