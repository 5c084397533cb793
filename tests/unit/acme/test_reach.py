"""A host is asked for our token as the CA would; the hosts are HTTP servers on loopback."""

import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import pytest

from proxyctl.acme import reach
from tests.fakes.web_server import WebServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.seen.append((self.headers["Host"], self.path))
        self.server.answer(self)

    def log_message(self, *_):
        pass


@contextmanager
def web(answer):
    server = WebServer(("127.0.0.1", 0), Handler)
    server.seen, server.answer = [], answer
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server, f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def says(body, status=200, **headers):
    def answer(handler):
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def ask(address, seconds=0.01):
    return reach.answers("git.test", "tok", "tok.en", seconds=seconds, address=address)


def test_a_host_that_has_our_token_leads_here():
    with web(says(b"tok.en")) as (server, address):
        assert ask(address) == ""

    assert server.seen[0] == ("git.test", "/.well-known/acme-challenge/tok")


@pytest.mark.parametrize("answer", [says(b"other"), says(b"tok.en", 404), says(b"x" * 10**6)])
def test_any_other_answer_is_somebody_else(answer):
    with web(answer) as (_, address):
        assert "something else than our token" in ask(address)


def test_it_waits_until_the_token_has_reached_haproxy():
    answers = iter([says(b"", 404), says(b"", 404)])

    def late(handler):
        next(answers, says(b"tok.en"))(handler)

    with web(late) as (_, address):
        assert ask(address, seconds=10) == ""


def test_who_sends_a_byte_now_and_then_does_not_hold_us(monkeypatch):
    monkeypatch.setattr(reach, "_LONGEST", 0.5)

    def drip(handler):
        handler.send_response(200)
        handler.end_headers()
        for _ in range(100):
            handler.wfile.write(b"x")
            time.sleep(0.05)

    with web(drip) as (_, address):
        assert "no answer" in ask(address)


def places(monkeypatch, *found):
    monkeypatch.setattr(reach, "_places", lambda _: list(found))


def test_an_address_that_nobody_answers_at_does_no_harm_beside_a_good_one(monkeypatch):
    with web(says(b"tok.en")) as (_, address):
        places(monkeypatch, "127.0.0.1:1", address)

        assert ask("") == ""


def test_another_machine_at_one_of_the_addresses_is_told(monkeypatch):
    with web(says(b"tok.en")) as (_, good), web(says(b"x")) as (_, stale):
        places(monkeypatch, good, stale)

        assert f"{stale} answers" in ask("")


def test_a_redirect_is_followed_as_the_ca_does(monkeypatch):
    def elsewhere(handler):
        says(b"", 301, Location=f"http://{end}/x")(handler)

    with web(says(b"tok.en")) as (_, end), web(elsewhere) as (_, begin):
        places(monkeypatch, begin)

        assert ask("") == ""


def test_a_name_that_dns_does_not_know(monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    assert ask("") == "DNS: git.test: Name or service not known"


def test_addresses_of_both_kinds_are_asked(monkeypatch):
    found = [
        (socket.AF_INET6, 1, 6, "", ("2001:db8::1", 80, 0, 0)),
        (socket.AF_INET, 1, 6, "", ("192.0.2.1", 80)),
        (socket.AF_INET, 1, 6, "", ("192.0.2.1", 80)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)

    assert reach._places("git.test") == ["[2001:db8::1]", "192.0.2.1"]
