"""A server with an HTTP check gets no request before its first check has passed."""

import http.client
import http.server
import threading
import time
from contextlib import contextmanager, suppress

import pytest
from real_haproxy import eventually, lab

from proxyctl.admission import decide
from proxyctl.files.memory import Memory
from proxyctl.files.templates import packaged
from proxyctl.plan.planner import make_plan
from proxyctl.plan.steps import AddServer, Reload, Start
from proxyctl.state.model import Global
from tests.fakes.keyring import FakeKeyring
from tests.fakes.web_server import WebServer
from tests.pipeline import pod, settings, stopped

pytestmark = pytest.mark.contract

SETTINGS = """
[haproxy]
mode = "embedded"
[entrypoints.web]
bind = ["127.0.0.1:{port}"]
"""
WARMING = 1.0
"""So many seconds, and two checks, an application fails its checks."""


class App(WebServer):
    """Answers with its name; /health is 503 until it is `warm`."""

    def __init__(self, name):
        super().__init__(("127.0.0.1", 0), Handler)
        self.name = name
        self.checks = 0
        self.asked_cold = 0
        self.warm = False

    def pod(self, **more):
        labels = {"host": "gitea.test", "group": "g", "health": "/health", "hold": "off", **more}
        return pod(self.name, "127.0.0.1", port=str(self.server_port), labels=labels)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        app = self.server
        if self.path == "/health":
            app.checks += 1
        elif not app.warm:
            app.asked_cold += 1
        body = app.name.encode()
        self.send_response(200 if app.warm or self.path != "/health" else 503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle(self):
        with suppress(OSError):  # HAProxy's business
            super().handle()

    def log_message(self, *_):
        return


@contextmanager
def app(name):
    with App(name) as one:
        threading.Thread(target=one.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield one
        finally:
            one.shutdown()


@pytest.fixture
def world(nowhere):
    """A HAProxy without pods."""
    nowhere.to()
    return nowhere


@pytest.fixture
def nowhere(tmp_path):
    """A HAProxy that does not run; `to(*pods)` makes and applies a plan, and returns its steps."""
    with lab(tmp_path) as one:
        identity = Global(folder=str(one.layout.folder), cookie_key="0123456789abcdef")
        text = SETTINGS.format(port=one.ports["port"])

        def decided(*pods):
            return decide(
                pods, settings(text), identity, Memory(), packaged(), keyring=FakeKeyring()
            )

        def to(*pods):
            found = decided(*pods)
            plan = make_plan(found.desired, found.rendered, one.proxy.observe())
            one.proxy.apply(plan)
            assert not make_plan(found.desired, found.rendered, one.proxy.observe()).steps
            return plan.steps

        one.to = to
        with clients(one):
            yield one


@contextmanager
def clients(world):
    """Ask all the time, also while HAProxy is reloaded: the moment of being up may be short."""
    done = threading.Event()

    def ask():
        while not done.is_set():
            with suppress(OSError, http.client.HTTPException):
                world.fetch()

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()


def answers(world):
    return {world.fetch() for _ in range(10)}


def is_not_asked_while_cold(world, app, meanwhile):
    begun, checks = time.monotonic(), app.checks
    while time.monotonic() < begun + WARMING or app.checks < checks + 2:
        assert {name if status == 200 else "" for status, name in answers(world)} == meanwhile
    app.warm = True
    return app.asked_cold == 0


def kinds(steps):
    return {type(step) for step in steps}


@pytest.mark.parametrize("names_its_port", [False, True])
def test_a_new_route_is_served_when_its_first_check_has_passed(world, names_its_port):
    with app("a") as a:
        port = {"health.port": str(a.server_port)} if names_its_port else {}
        assert Reload in kinds(world.to(a.pod(**port)))

        assert is_not_asked_while_cold(world, a, {""})
        assert eventually(lambda: world.fetch() == (200, "a"))


def test_a_haproxy_that_is_started_asks_a_server_when_its_first_check_has_passed(nowhere):
    with app("a") as a:
        assert Start in kinds(nowhere.to(a.pod()))

        assert is_not_asked_while_cold(nowhere, a, {""})
        assert eventually(lambda: nowhere.fetch() == (200, "a"))


def test_a_server_of_a_group_is_asked_when_its_first_check_has_passed(world):
    with app("a") as a, app("b") as b:
        a.warm = True
        world.to(a.pod())
        assert eventually(lambda: world.fetch() == (200, "a"))
        steps = world.to(a.pod(), b.pod())

        assert AddServer in kinds(steps)
        assert Reload not in kinds(steps)
        assert is_not_asked_while_cold(world, b, {"a"})
        assert eventually(lambda: answers(world) == {(200, "a"), (200, "b")})


def test_a_pod_that_returns_is_served_when_its_first_check_has_passed(world):
    with app("a") as a:
        a.warm = True
        world.to(a.pod())
        assert eventually(lambda: world.fetch() == (200, "a"))
        world.to(stopped(a.pod()))
        a.warm = False
        steps = world.to(a.pod())

        assert Reload not in kinds(steps)
        assert is_not_asked_while_cold(world, a, {""})
        assert eventually(lambda: world.fetch() == (200, "a"))


def test_a_reload_does_not_take_down_what_is_up(world):
    with app("a") as a, app("b") as b:
        a.warm = True
        world.to(a.pod())
        assert eventually(lambda: world.fetch() == (200, "a"))
        other = pod("other", "127.0.0.1", host="b.test", health="/x", port=str(b.server_port))

        assert Reload in kinds(world.to(a.pod(), other))
        assert answers(world) == {(200, "a")}
