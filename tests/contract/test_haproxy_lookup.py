"""What `explain` says of a request is what HAProxy does with it, for any host and path."""

import random

import pytest
from rendered import answering

from proxyctl.status.lookup import canonical, look_up, winner
from tests.pipeline import pod

pytestmark = pytest.mark.contract

HOSTS = (
    "*", "a.test", "b.a.test", "*.test", "*.a.test", "*.b.a.test", "*.a.b.a.b.a.b.a.test",
    "[::1]", "test",
)  # fmt: skip
PATHS = ("", "/a", "/a/b", "/b")
REQUESTS = 2000


def test_haproxy_routes_any_request_as_it_is_explained(tmp_path):
    chance = random.Random(7)
    wanted = [(host, path) for host in HOSTS for path in PATHS if host != "*" or path]
    chance.shuffle(wanted)
    pods = [
        pod(f"p{number}", host=host, path=path or "/", port="80")
        for number, (host, path) in enumerate(wanted[: len(wanted) * 2 // 3])
    ]

    with answering(tmp_path, *pods) as haproxy:
        requests = [(a_host(chance), a_path(chance)) for _ in range(REQUESTS)]
        happened = {request: haproxy.ask(*request)[:2] for request in requests}
        explained = {request: as_explained(haproxy.entries, *request) for request in requests}

    assert happened == explained
    assert {status for status, _ in happened.values()} == {200, 400, 404}


def a_host(chance):
    name = ".".join(chance.choices(("a", "b", "c"), k=chance.choice((0, 1, 2, 3, 4, 8, 9, 60))))
    if chance.randrange(9) == 0:
        return "[::1]" + chance.choice(("", ":80"))  # 3.0 itself refuses a dot after it
    whole = chance.choice((f"{name}.test", f"{name}.A.Test", f"{name}..test", name))
    return whole + chance.choice(("", "", "", ".", ":80", ".:80"))


def a_path(chance):
    words = ("a", "b", "ab", "%61", "a%2fb", "", ".", "a%20", "%00", "%", "a+b")
    segments = chance.choices(
        words, (9, 9, 2, 2, 2, 1, 0.2, 1, 0.1, 0.1, 1), k=chance.randrange(4)
    )
    return "/" + "/".join(segments) + chance.choice(("", "", "?q=/a", "/"))


def as_explained(entries, host, path):
    asked = canonical(host, path)
    if asked.refusal:
        return 400, ""
    backend = winner(look_up(entries, asked))
    return (200, backend) if backend else (404, "")
