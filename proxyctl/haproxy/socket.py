"""The master's socket (`haproxy -S`): a conversation per batch, never kept.

A connection that is kept would talk to the old worker after a reload, and keep it alive. The
master hands a command that begins with `@1 ` to the current worker; it never hangs up after an
answer (all versions), so that answers are told apart by its prompt. Three times dearer than the
worker's own socket (0.3 ms a command against 0.1 ms), but it is there in all three modes.
"""

import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from proxyctl.haproxy.protocol import refusal, shortened
from proxyctl.problems import CommandRejected, HAProxyUnavailable, NotPermitted

_CHUNK = 262_144
_LINGER = 0.1
"""Seconds that the prompt may come after the empty line that ends a listing."""


class NotListening(HAProxyUnavailable):
    """Nobody listens on the socket: HAProxy does not run, or is just being reloaded (2.6)."""


class Conversation:
    """One command follows the answer to the other, on one connection."""

    def __init__(
        self, connect: Callable[[], socket.socket], *, prefix: str, timeout: float
    ) -> None:
        """Connect; `timeout` is for each answer, in seconds."""
        self._connect = connect
        self._prefix = prefix
        self._timeout = timeout
        self._connection: socket.socket | None = self._begin()

    def tell(self, command: str) -> str:
        """Return the answer to a command, whatever it says."""
        connection = self._connection or self._begin()
        self._connection = connection
        try:
            connection.sendall(f"{self._prefix}{command}\n".encode())
            answer = self._read(connection, listing=command.startswith("show "))
        except OSError as error:
            raise HAProxyUnavailable(f"{shortened(command)}: {error}") from error
        return answer.removesuffix(self._prompt).decode("utf-8", "replace")

    def ask(self, command: str) -> str:
        """Return the answer to a command; raises CommandRejected if it is a refusal."""
        answer = self.tell(command)
        if reason := refusal(command, answer):
            raise CommandRejected(f"{shortened(command)}: {reason}")
        return answer

    def close(self) -> None:
        """Hang up; another command would connect again."""
        if self._connection:
            self._connection.close()
        self._connection = None

    def _begin(self) -> socket.socket:
        """Connect, and learn what the prompt is: `master> `, `master[ReloadFailed]> `."""
        connection = self._connect()
        self._prompt = b"> "
        try:
            connection.sendall(b"prompt\n")
            self._prompt = b"\n" + self._read(connection, listing=False).lstrip(b"\n")
        except OSError as error:
            connection.close()
            raise HAProxyUnavailable(f"HAProxy does not answer: {error}") from error
        except HAProxyUnavailable:
            connection.close()
            raise
        return connection

    def _read(self, connection: socket.socket, *, listing: bool) -> bytes:
        """Return an answer with the prompt after it.

        The master forgets the prompt, and hears no more, where a listing is a little longer than
        the buffer of a unix socket (1 of 50 times at 215 kB; measured on 2.6.12 and 3.0.11). The
        listing itself is complete: its empty line ends it, and the connection is given up.
        """
        deadline = time.monotonic() + self._timeout
        answer = bytearray()
        while not answer.endswith(self._prompt):
            listed = listing and answer.endswith(b"\n\n")
            rest = max(deadline - time.monotonic(), 0.001)
            connection.settimeout(min(rest, _LINGER) if listed else rest)
            try:
                chunk = connection.recv(_CHUNK)
            except TimeoutError:
                if not listed:
                    raise
                self.close()
                break
            if not chunk:
                text = answer[-200:].decode("utf-8", "replace").strip()
                raise HAProxyUnavailable(f"HAProxy hung up: {text or 'without a word'}")
            answer += chunk
        return bytes(answer)


class RuntimeSocket:
    """HAProxy's runtime API behind a unix socket.

    Raises NotListening if nobody is there, HAProxyUnavailable if the one who is does not answer in
    `timeout` seconds, NotPermitted if the socket is not ours to use.
    """

    def __init__(self, path: Path, *, prefix: str = "@1 ", timeout: float = 5.0) -> None:
        """Speak to the current worker, or with `prefix=""` to the owner of the socket itself."""
        self.path = path
        self._prefix = prefix
        self._timeout = timeout

    def is_answered(self) -> bool:
        """Tell whether somebody listens."""
        try:
            self._connect(self._timeout).close()
        except HAProxyUnavailable:
            return False
        return True

    @contextmanager
    def open(self) -> Iterator[Conversation]:
        """Connect, for as long as one batch of commands takes."""
        talk = Conversation(
            partial(self._connect, self._timeout), prefix=self._prefix, timeout=self._timeout
        )
        with closing(talk):
            yield talk

    def ask(self, commands: Iterable[str]) -> tuple[str, ...]:
        """Return the answers to *commands*; none is sent after the first that is refused."""
        with self.open() as talk:
            return tuple(talk.ask(command) for command in commands)

    def ask_master(self, command: str, *, timeout: float | None = None) -> str:
        """Return the master's own answer to a single command, such as `show proc` or `reload`.

        Without a prompt: a reload hangs up when it is done, or before (2.6).
        """
        limit = timeout or self._timeout
        deadline = time.monotonic() + limit
        answer = bytearray()
        with self._connect(limit) as connection:
            try:
                connection.sendall(f"{command}\n".encode())
                connection.shutdown(socket.SHUT_WR)
                while chunk := connection.recv(_CHUNK):
                    answer += chunk
                    connection.settimeout(max(deadline - time.monotonic(), 0.001))
            except OSError as error:
                raise HAProxyUnavailable(f"{shortened(command)}: {error}") from error
        return answer.decode("utf-8", "replace")

    def _connect(self, timeout: float) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(timeout)
        try:
            connection.connect(str(self.path))
        except (FileNotFoundError, ConnectionRefusedError) as error:
            connection.close()
            raise NotListening(f"nobody listens on {self.path}") from error
        except PermissionError as error:
            connection.close()
            raise NotPermitted(f"{self.path}: not for this user") from error
        except OSError as error:
            connection.close()
            raise HAProxyUnavailable(f"{self.path}: {error}") from error
        return connection
