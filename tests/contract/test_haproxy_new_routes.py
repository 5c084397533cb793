"""New routes without a reload: by spares, or by backends of their own where HAProxy can (3.4)."""

import threading
from http.server import BaseHTTPRequestHandler

import pytest
from real_haproxy import lab

from proxyctl.admission import decide
from proxyctl.files.memory import Memory
from proxyctl.files.templates import packaged
from proxyctl.haproxy.files import write
from proxyctl.haproxy.socket import RuntimeSocket
from proxyctl.plan.capabilities import capabilities_of
from proxyctl.plan.planner import make_plan
from proxyctl.plan.steps import AddBackend, AddServer, Reload, RemoveBackend
from proxyctl.problems import CommandRejected
from proxyctl.state.model import Global
from tests.fakes.keyring import FakeKeyring
from tests.fakes.web_server import WebServer
from tests.pipeline import pod, settings

pytestmark = pytest.mark.contract

SETTINGS = """
[haproxy]
mode = "embedded"
[entrypoints.web]
bind = ["127.0.0.1:{port}"]
"""
SPARES = (("http", 2), ("sticky", 1), ("tcp", 1))


class World:
    """A HAProxy without pods, and a web server that all pods of the tests are."""

    def __init__(self, one, port):
        self.lab, self._port = one, str(port)
        self._identity = Global(
            folder=str(one.layout.folder), cookie_key="0123456789abcdef", spares=SPARES
        )

    def decided(self, *pods):
        text = SETTINGS.format(port=self.lab.ports["port"])
        return decide(
            pods, settings(text), self._identity, Memory(), packaged(), keyring=FakeKeyring()
        )

    def start(self):
        texts = self.decided().rendered.texts
        write(self.lab.layout, texts, texts)
        self.lab.process.start()

    def to(self, *pods, quiet=False):
        """Make HAProxy that, at run time only; return the steps."""
        found = self.decided(*pods)
        plan = make_plan(found.desired, found.rendered, self.lab.proxy.observe(), quiet=quiet)
        self.lab.proxy.apply(plan.urgent)
        there = self.lab.proxy.observe()
        assert make_plan(found.desired, found.rendered, there, quiet=quiet).urgent.steps == ()
        return plan.urgent.steps

    def pod(self, name, **labels):
        return pod(name, "127.0.0.1", host=f"{name}.test", port=self._port, **labels)

    def ask(self, name):
        return self.lab.fetch(f"{name}.test")

    def can_add(self):
        return capabilities_of(self.lab.proxy.observe().version).dynamic_backends

    def backends(self):
        (told,) = RuntimeSocket(self.lab.layout.master_socket).ask(["show backend"])
        return set(told.split("\n"))


class Handler(BaseHTTPRequestHandler):
    """Answers with the client's address as it arrived."""

    def do_GET(self):
        body = self.headers["X-Forwarded-For"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        return


@pytest.fixture
def world(tmp_path):
    with lab(tmp_path) as one, WebServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        made = World(one, server.server_port)
        made.start()
        yield made
        server.shutdown()


def test_a_new_route_answers_and_the_process_is_the_same(world):
    before = world.lab.proxy.pulse()

    steps = world.to(world.pod("a"))

    assert world.ask("a") == (200, "127.0.0.1")
    assert world.lab.proxy.pulse() == before
    assert not any(isinstance(step, Reload) for step in steps)
    assert any(isinstance(step, AddBackend) for step in steps) == world.can_add()
    assert ("a" in world.backends()) == world.can_add()


def test_more_routes_than_there_are_spares(world):
    found = world.decided(*(world.pod(f"p{n}") for n in range(4)))

    plan = make_plan(found.desired, found.rendered, world.lab.proxy.observe())
    world.lab.proxy.apply(plan)

    assert any(isinstance(step, Reload) for step in plan.steps) != world.can_add()
    assert [world.ask(f"p{n}")[0] for n in range(4)] == [200] * 4


def test_requests_wait_in_a_backend_that_has_no_server_yet(world):
    stopped = world.decided(world.pod("a"))
    there = world.lab.proxy.observe()
    plan = make_plan(stopped.desired, stopped.rendered, there).urgent
    servers = [step for step in plan.steps if isinstance(step, AddServer)]
    for step in plan.steps:
        if step not in servers:
            world.lab.apply(step)
    answers = []
    asking = threading.Thread(target=lambda: answers.append(world.ask("a")))
    asking.start()
    asking.join(0.5)
    assert answers == []

    world.lab.apply(*servers)
    asking.join()

    assert answers == [(200, "127.0.0.1")]


def test_a_route_that_went_leaves_no_backend_behind_and_can_come_again(world):
    world.to(world.pod("a"))

    world.to()
    assert world.ask("a")[0] == 404
    steps = world.to(quiet=True)

    assert (RemoveBackend("a") in steps) == world.can_add()
    assert "a" not in world.backends()
    world.to(world.pod("a"))
    assert world.ask("a") == (200, "127.0.0.1")


def test_a_backend_that_was_added_is_the_files_after_a_reload(world):
    world.to(world.pod("a"))
    found = world.decided(world.pod("a"), world.pod("b", compress="on"))

    plan = make_plan(found.desired, found.rendered, world.lab.proxy.observe())
    world.lab.proxy.apply(plan)

    assert any(isinstance(step, Reload) for step in plan.steps)
    there = world.lab.proxy.observe()
    assert make_plan(found.desired, found.rendered, there).urgent.steps == ()
    assert {"a", "b"} <= world.backends()
    assert world.ask("a") == (200, "127.0.0.1")


def test_what_was_half_made_when_we_were_killed_is_made_anew(world):
    if not world.can_add():
        with pytest.raises(CommandRejected):
            world.lab.apply(AddBackend("a", "http", "1"))
        return
    (said,) = RuntimeSocket(world.lab.layout.master_socket).ask(["add backend a from ::spare-tcp"])
    assert "registered" in said

    world.to(world.pod("a"))

    assert world.ask("a") == (200, "127.0.0.1")


def test_a_name_that_somebody_else_has_is_done_without(world):
    """A backend with a server that nobody of ours added cannot be made anew."""
    if not world.can_add():
        assert "a" not in world.backends()
        return
    ask = RuntimeSocket(world.lab.layout.master_socket).ask
    ask(["add backend a from ::spare-http"])
    ask([f"add server a/other 127.0.0.1:{world.lab.ports['one']}"])
    ask(["enable server a/other"])

    with pytest.raises(CommandRejected):
        world.to(world.pod("a"))
    steps = world.to(world.pod("a"))

    assert not any(isinstance(step, AddBackend) for step in steps)
    assert world.ask("a") == (200, "127.0.0.1")
