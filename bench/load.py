#!/usr/bin/env python3
"""A client that does not wait for its server: one request every 1/rate s, whatever happens.

Each request has a deadline of its own, and a slow answer delays no other request (no coordinated
omission). One line for each request that has ended, on standard output:

    SCHEDULED STARTED DONE STATUS WHO      times: CLOCK_MONOTONIC in ns; WHO: X-Id, or "-"

STATUS is that of HTTP, or
    T   no full answer until the timeout
    C   the connection was refused
    R   the connection ended before the answer did
    K   a kept-alive connection ended before the answer began (RFC 9110 lets a client repeat that)

Ends when standard input does, after the last answer. Standard library only: started with -S.
"""

import argparse
import contextlib
import errno
import os
import select
import socket
import sys
import time
from collections import deque
from dataclasses import dataclass, field

_HOW_MANY_IDLE = 32
_NEWS = select.EPOLLIN | select.EPOLLRDHUP


@dataclass(slots=True, eq=False)
class Request:
    """One request under way."""

    scheduled: int
    started: int
    sock: socket.socket
    reused: bool
    sent: bool = False
    done: bool = False
    received: bytes = b""
    fd: int = field(init=False)

    def __post_init__(self) -> None:
        self.fd = self.sock.fileno()


class Client:
    """Sends, receives and tells; `run` is the loop."""

    def __init__(self, options: argparse.Namespace) -> None:
        address, _, port = options.to.rpartition(":")
        self._to = (address, int(port))
        self._period = int(1e9 / options.rate)
        self._timeout = int(options.timeout * 1e9)
        self._keep = options.keep_alive
        self._hold = options.hold
        close = "" if options.keep_alive else "Connection: close\r\n"
        self._text = f"GET {options.path} HTTP/1.1\r\nHost: {options.host}\r\n{close}\r\n".encode()
        self._poll = select.epoll()
        self._live: dict[int, Request] = {}
        self._idle: dict[int, socket.socket] = {}
        self._deadlines: deque[Request] = deque()

    def run(self) -> None:
        """Send until standard input ends, then wait for what is under way."""
        if self._hold:
            os.read(0, 1)
        self._poll.register(0, select.EPOLLIN | select.EPOLLHUP)
        due, stopping = time.monotonic_ns(), False
        while not stopping or self._live:
            now = time.monotonic_ns()
            while not stopping and due <= now:
                self._start(due)
                due += self._period
            self._give_up(now)
            for fd, events in self._poll.poll(self._wait(due, stopping=stopping)):
                if fd == 0:
                    stopping = stopping or not os.read(0, 100)
                elif fd in self._live:
                    self._news(self._live[fd], events)
                else:
                    self._forget(fd)

    def _wait(self, due: int, *, stopping: bool) -> float:
        times = [] if stopping else [due]
        if self._deadlines:
            times.append(self._deadlines[0].started + self._timeout)
        return max(0.0, (min(times) - time.monotonic_ns()) / 1e9) if times else 0.01

    def _give_up(self, now: int) -> None:
        while self._deadlines:
            first = self._deadlines[0]
            if not first.done and first.started + self._timeout > now:
                return
            self._deadlines.popleft()
            if not first.done:
                self._end(first, "T")

    def _start(self, scheduled: int) -> None:
        started = time.monotonic_ns()
        if self._idle:
            fd, sock = self._idle.popitem()
            request = Request(scheduled, started, sock, reused=True)
            self._live[fd] = request
            self._deadlines.append(request)
            self._send(request)
            return
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        request = Request(scheduled, started, sock, reused=False)
        self._live[request.fd] = request
        self._deadlines.append(request)
        self._poll.register(request.fd, select.EPOLLOUT | _NEWS)
        if sock.connect_ex(self._to) not in (0, errno.EINPROGRESS):
            self._end(request, "C")

    def _send(self, request: Request) -> None:
        try:
            request.sock.send(self._text)
        except OSError:
            self._end(request, "K" if request.reused else "R")
            return
        request.sent = True
        self._poll.modify(request.fd, _NEWS)

    def _news(self, request: Request, events: int) -> None:
        if not request.sent:
            if request.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self._end(request, "C")
            elif events & select.EPOLLOUT:
                self._send(request)
            return
        try:
            data = request.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        request.received += data
        if not self._complete(request) and not data:
            self._end(request, "K" if request.reused and not request.received else "R")

    def _complete(self, request: Request) -> bool:
        """End the request if the answer is all there. Content-Length is the only form known."""
        head, blank, body = request.received.partition(b"\r\n\r\n")
        if not blank:
            return False
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in _split(lines)}
        if len(body) < int(headers.get("content-length", 0)):
            return False
        keep = self._keep and headers.get("connection", "").lower() != "close"
        self._end(request, first.split(" ")[1], headers.get("x-id", "-") or "-", keep=keep)
        return True

    def _end(self, request: Request, status: str, who: str = "-", *, keep: bool = False) -> None:
        request.done = True
        del self._live[request.fd]
        if keep and len(self._idle) < _HOW_MANY_IDLE:
            self._idle[request.fd] = request.sock
        else:
            self._poll.unregister(request.fd)
            request.sock.close()
        now = time.monotonic_ns()
        print(request.scheduled, request.started, now, status, who, flush=True)

    def _forget(self, fd: int) -> None:
        """Close an idle connection that its server has closed."""
        sock = self._idle.pop(fd, None)
        if sock is not None:
            self._poll.unregister(fd)
            sock.close()


def _split(lines: list[str]) -> list[tuple[str, str, str]]:
    return [line.partition(":") for line in lines]


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--to", default="127.0.0.1:80", help="address:port")
    parser.add_argument("--host", required=True, help="the Host header")
    parser.add_argument("--path", default="/")
    parser.add_argument("--rate", type=float, default=200, help="requests per second")
    parser.add_argument("--timeout", type=float, default=1, help="seconds")
    parser.add_argument("--keep-alive", action="store_true", help="use connections again")
    parser.add_argument("--hold", action="store_true", help="wait for a byte on standard input")
    with contextlib.suppress(PermissionError):
        os.nice(-10)  # a client that has to wait for the processor would take it for slowness
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        Client(parser.parse_args()).run()
    sys.stdout.close()


if __name__ == "__main__":
    main()
