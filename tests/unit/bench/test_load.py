"""bench/load.py beside a server that does what the path says, on loopback."""

import socket
import subprocess
import sys
import threading
from contextlib import closing, suppress
from pathlib import Path

import pytest

LOAD = Path(__file__).parents[3] / "bench/load.py"
ANSWER = b"HTTP/1.1 200 OK\r\nX-Id: one\r\nContent-Length: 2\r\n\r\nhi"


def serve(listener, answers):
    """Answer the n-th request of each connection with the n-th of `answers`; then hang up."""

    def talk(connection):
        with closing(connection), suppress(OSError):
            for answer in answers:
                if not connection.recv(65536):
                    return
                if answer is None:
                    connection.recv(65536)  # until the client gives up
                    return
                connection.sendall(answer)

    with suppress(OSError):
        while True:
            threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()


@pytest.fixture
def ask():
    """Return what load.py tells of its first requests to a server with these answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def run(answers, *options, requests=3):
            threading.Thread(target=serve, args=(listener, answers), daemon=True).start()
            return told(port, *options, requests=requests)

        yield run
        listener.shutdown(socket.SHUT_RDWR)


def told(port, *options, requests=3):
    command = [sys.executable, "-S", str(LOAD), f"--to=127.0.0.1:{port}", "--host=a.test"]
    with subprocess.Popen(
        [*command, "--rate=50", *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as client:
        lines = [client.stdout.readline().split() for _ in range(requests)]
        client.stdin.close()
        client.stdout.read()
    return [(status, who) for *_, status, who in lines], lines


def test_an_answer_is_its_status_and_who_gave_it(ask):
    got, lines = ask([ANSWER])

    assert got == [("200", "one")] * 3
    assert all(int(begin) <= int(sent) <= int(done) for begin, sent, done, *_ in lines)


def test_what_is_sent_does_not_wait_for_what_was_answered(ask):
    got, lines = ask([None], "--timeout=0.5")

    assert got == [("T", "-")] * 3
    # The third was due before the first had been given up.
    assert int(lines[2][0]) < int(lines[0][2])


def test_a_status_of_the_proxy_is_told_without_a_name(ask):
    got, _ = ask([b"HTTP/1.1 503 Gone\r\nContent-Length: 0\r\n\r\n"])

    assert got == [("503", "-")] * 3


@pytest.mark.parametrize("answer", [b"", ANSWER[:-1], b"HTTP/1.1 200 OK\r\n"])
def test_half_an_answer_is_none(ask, answer):
    got, _ = ask([answer])

    assert got == [("R", "-")] * 3


def test_a_connection_that_was_used_before_and_ends_is_told_apart(ask):
    got, _ = ask([ANSWER, b""], "--keep-alive", requests=4)

    assert {one for one, _ in got} == {"200", "K"}


def test_nobody_there_is_refused():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, but not listening
        got, _ = told(unused.getsockname()[1])

    assert got == [("C", "-")] * 3
