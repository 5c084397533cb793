"""HAProxy refuses, finds and misses what status/lookup.py says that it does."""

import random
import re
import socket

import pytest

from proxyctl.haproxy.files import write
from proxyctl.status.lookup import canonical, look_up, winner
from tests.contract.real_haproxy import lab
from tests.pipeline import FOLDER, decided, pod

pytestmark = pytest.mark.contract

ROUTES = {
    "a": ("a.test", "/"),
    "a-api": ("a.test", "/api"),
    "a-v1": ("a.test", "/api/v1"),
    "b": ("b.test,[::1]", "/well-known"),
    "wild": ("*.test", "/api"),
    "wilder": ("*.x.test", "/"),
    "any": ("*", "/any"),
}
HOSTS = ("a.test", "b.test", "x.test", "y.x.test", "1.2.3.x.test", "test", "[::1]")
AROUND_HOST = (
    "", "", "", "", ".", ":80", ".:80", ":80.", ":", "..", ",a.test", "/", "@", "%41", "é",
)  # fmt: skip
PATHS = (
    "/", "//", "/api", "/API", "/v1", "/any", "/well-known", "/%61pi", "%2fapi", "/.", "/..",
    "/%2e", "/%2E%2e", "/...", "/.a", "/a..", "%00", "/%00api", "%0", "%zz", "%25", "%c3%a9", "|",
    "?x=/../y", "?%00", "::",
)  # fmt: skip


def test_random_requests_go_where_lookup_says(tmp_path):
    dice = random.Random(20_261_124)
    decision = decided(*(pod(n, host=h, port="80", path=p) for n, (h, p) in ROUTES.items()))
    entries = next(m for m in decision.desired.maps if m.file == "maps/web.http.map").entries
    asked = {(_host(dice), _path(dice)) for _ in range(4000)}

    with lab(tmp_path) as one:
        texts = _texts(decision.rendered.texts, str(one.layout.folder), one.ports)
        write(one.layout, texts, texts)
        one.process.start()
        got = {question: _answer(one.ports["port"], *question) for question in asked}

    expected = {question: _told(entries, *question) for question in asked}
    assert set(ROUTES) | {"400", "404"} == set(expected.values())
    assert {one: answer for one, answer in got.items() if answer != expected[one]} == {}


def _host(dice):
    host = dice.choice(HOSTS)
    # 3.0 itself refuses what looks like an IPv6 address and is none.
    host += dice.choice(("", ":80") if host.startswith("[") else AROUND_HOST)
    return host.upper() if dice.random() < 0.1 else host


def _path(dice):
    first = dice.choice(PATHS)
    path = first + "".join(dice.choices(PATHS, k=dice.randrange(4)))
    return path if path.startswith("/") else f"/{path}"


def _told(entries, host, path):
    asked = canonical(host, path)
    return "400" if asked.refusal else winner(look_up(entries, asked)) or "404"


def _texts(texts, folder, ports):
    """Return the files with other ports, and with backends that answer with their own name."""
    config = texts["haproxy.cfg"].replace(FOLDER, folder)
    for port, ours in (("8080", "port"), ("8081", "one"), ("5432", "two")):
        config = config.replace(f"bind 127.0.0.1:{port}", f"bind 127.0.0.1:{ports[ours]}")
    tell = r"\1\n    http-request return status 200 content-type text/plain string \2"
    config = re.sub(r"^(backend ([a-z]\S*) from .*)$", tell, config, flags=re.MULTILINE)
    return {**texts, "haproxy.cfg": config}


def _answer(port, host, path):
    """Return the name that answered, or the status that refused."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        lines = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        connection.sendall(lines.encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    status = answer.split(" ", 2)[1]
    return answer.partition("\r\n\r\n")[2] if status == "200" else status
