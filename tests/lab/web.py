#!/usr/bin/python3 -IS
"""The web server in the lab's pods: tells who answered, and what of the request arrived.

    web [PORT...]     serve these ports (default 8080), IPv4 and IPv6; 8443+tls with /tls.pem
    web --modules     print the files of Python's library that it needs, to make the image of

Every path and method is answered with JSON: pod, port, method, path, headers (lower-case names).

    .../slow?s=2      answers after two seconds
    .../status?c=503  answers with that status

SIGTERM: no new connection, requests in flight are finished, then it ends. Threads and the standard
library only; starts in 0.1 s.
"""

import contextlib
import encodings.idna
import encodings.latin_1  # noqa: F401 - Python asks for these two when it is too late
import json
import os
import select
import signal
import socket
import ssl
import sys
import threading
import time
from urllib.parse import parse_qs, urlsplit

NAME = os.environ.get("NAME") or socket.gethostname()
stopping = threading.Event()
idle: set[socket.socket] = set()
idle_lock = threading.Lock()


def listener(port):
    try:
        sock = socket.socket(socket.AF_INET6)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        address = "::"
    except OSError:  # a kernel without IPv6
        sock, address = socket.socket(), "0.0.0.0"
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((address, port))
    sock.listen(1024)
    sock.setblocking(False)
    return sock


def first_line(conn, stream):
    """Wait for a request; "" when the client left, or when the server stops meanwhile."""
    with idle_lock:
        idle.add(conn)
    if stopping.is_set():
        conn.shutdown(socket.SHUT_RD)
    line = stream.readline(65536).decode("latin-1").strip()
    with idle_lock:
        idle.discard(conn)
    return line


def read_headers(stream):
    headers = {}
    while line := stream.readline(65536).decode("latin-1").strip():
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def skip_body(stream, headers):
    if "chunked" in headers.get("transfer-encoding", ""):
        while size := int(stream.readline(1024).split(b";")[0], 16):
            stream.read(size + 2)
        read_headers(stream)
    else:
        stream.read(int(headers.get("content-length", 0)))


def answer(port, method, target, headers):
    """Return the status and the body."""
    parts = urlsplit(target)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    if parts.path.endswith("/slow"):
        time.sleep(float(query.get("s", 1)))
    status = int(query.get("c", 200)) if parts.path.endswith("/status") else 200
    told = {"pod": NAME, "port": port, "method": method, "path": target, "headers": headers}
    return status, json.dumps(told).encode() + b"\n"


def serve_connection(conn, port):
    conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with conn, conn.makefile("rb") as stream:
        while line := first_line(conn, stream):
            method, target, version = line.split(" ")
            headers = read_headers(stream)
            if headers.get("expect", "").lower() == "100-continue":
                conn.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            skip_body(stream, headers)
            status, body = answer(port, method, target, headers)
            wish = headers.get("connection", "").lower()
            close = stopping.is_set() or wish == "close" or version == "HTTP/1.0"
            head = (
                f"HTTP/1.1 {status} {'OK' if status == 200 else 'As you wish'}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
                f"{'Connection: close' if close else 'Connection: keep-alive'}\r\n\r\n"
            ).encode()
            conn.sendall(head if method == "HEAD" else head + body)
            if close:
                return


def connection(conn, port, tls):
    with contextlib.suppress(OSError, ValueError):  # the client's business
        serve_connection(tls.wrap_socket(conn, server_side=True) if tls else conn, port)


def with_tls():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("/tls.pem")
    return context


def accept_all(listeners, ready):
    for sock in ready:
        if sock in listeners:
            try:
                conn, _ = sock.accept()
            except OSError:
                continue
            conn.setblocking(True)
            threading.Thread(target=connection, args=(conn, *listeners[sock])).start()


def print_modules():
    for module in sys.modules.values():
        for file in (getattr(module, "__file__", None), getattr(module, "__cached__", None)):
            if file and os.access(file, os.R_OK) and module.__name__ != "__main__":
                print(file)


def main(ports):
    wake_read, wake_write = socket.socketpair()
    wake_write.setblocking(False)
    signal.set_wakeup_fd(wake_write.fileno())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    words = [port.partition("+") for port in ports]
    listeners = {listener(int(n)): (int(n), with_tls() if tls else None) for n, _, tls in words}
    while not stopping.is_set():
        accept_all(listeners, select.select([*listeners, wake_read], [], [])[0])
    while waiting := select.select([*listeners], [], [], 0)[0]:  # who had already knocked
        accept_all(listeners, waiting)
    for sock in listeners:
        sock.close()
    with idle_lock:
        for conn in idle:
            with contextlib.suppress(OSError):  # its client may be gone
                conn.shutdown(socket.SHUT_RD)  # what has arrived is still read, and answered


if sys.argv[1:] == ["--modules"]:
    print_modules()
else:
    main(sys.argv[1:] or ["8080"])
