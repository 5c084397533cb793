"""A server that refuses is found by the requests themselves, long before its next check."""

import socket
import threading
from contextlib import suppress

import pytest

from tests.contract.real_haproxy import CONFIG, lab
from tests.pipeline import decided, pod

pytestmark = pytest.mark.contract

NEVER = {"health.interval": "1h"}


def serve(listener):
    answer = "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}"
    body = str(listener.getsockname()[1])
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                if connection.recv(65536):
                    connection.sendall(answer.format(len(body), body).encode())


def test_a_dead_replica_costs_no_request_and_is_down_without_a_check(tmp_path):
    made = decided(pod("a", host="gitea.test", port="1", labels=NEVER)).desired.backends[0]
    options = " ".join(made.server_options)

    with socket.create_server(("127.0.0.1", 0)) as alive, lab(tmp_path) as one:
        dying = socket.create_server(("127.0.0.1", 0))
        ports = {"alive": alive.getsockname()[1], "dying": dying.getsockname()[1]}
        for listener in (alive, dying):
            threading.Thread(target=serve, args=(listener,), daemon=True).start()
        lines = [f"    server {name} 127.0.0.1:{port} {options}" for name, port in ports.items()]
        rules = ["    option redispatch 1", "    retry-on conn-failure empty-response", *lines]
        config = CONFIG.replace("balance random", "balance roundrobin")
        one.start(config=config.replace("    server one 127.0.0.1:{one}", "\n".join(rules)))
        before = {one.fetch()[1] for _ in range(4)}
        dying.shutdown(socket.SHUT_RDWR)
        dying.close()
        after = [one.fetch() for _ in range(20)]
        server = one.server("dying")

    assert before == {str(port) for port in ports.values()}
    assert after == [(200, str(ports["alive"]))] * 20
    assert server
    assert not server.up
