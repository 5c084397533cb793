"""Reloads and starts of a real HAProxy: the outcome is known, and a bad one costs nothing."""

import http.client
import socket
from dataclasses import replace

import pytest
from real_haproxy import BINARY, CONFIG, Lab, eventually, lab

from proxyctl.haproxy.proxy import HAProxy
from proxyctl.plan.steps import AddServer, Plan, Reload, SetServerState, Start, WriteFiles
from proxyctl.problems import ConfigRejected, HAProxyAbsent, HAProxyUnavailable
from proxyctl.state.model import Server, ServerState

pytestmark = pytest.mark.contract

NEW = "\nbackend new\n    server a 127.0.0.1:1\n"
BAD = "\nbackend new\n    balanse random\n"


@pytest.fixture
def running(tmp_path):
    with lab(tmp_path) as one:
        one.start()
        yield one


def test_a_reload_brings_a_new_worker_with_the_new_sections(running):
    before = running.proxy.observe()
    running.reload(running.texts(NEW))
    after = running.proxy.observe()

    assert after.pid != before.pid
    assert after.sections.keys() - before.sections.keys() == {"backend/new"}
    assert [server.name for server in after.servers["new"]] == ["a"]
    assert running.fetch() == (200, "one")


def test_a_bad_reload_leaves_the_old_worker_and_the_old_files(running):
    before = running.proxy.observe()
    with pytest.raises(ConfigRejected) as refused:
        running.reload(running.texts(BAD))

    assert running.proxy.observe() == before
    assert running.fetch() == (200, "one")
    line = running.texts(BAD)["haproxy.cfg"].splitlines().index("    balanse random") + 1
    assert refused.value.alerts[0][0] == line
    assert "balanse" in refused.value.alerts[0][1]


def test_a_good_reload_succeeds_after_a_bad_one(running):
    with pytest.raises(ConfigRejected):
        running.reload(running.texts(BAD))
    running.reload(running.texts(NEW))

    assert "backend/new" in running.proxy.observe().sections


def test_a_bad_reload_twice_restores_the_files_twice(running):
    for _ in range(2):
        with pytest.raises(ConfigRejected):
            running.reload(running.texts(BAD))

    assert running.layout.config.read_text() == running.texts()["haproxy.cfg"]


def test_a_file_that_came_with_a_bad_reload_goes_again(running):
    with pytest.raises(ConfigRejected):
        running.reload({**running.texts(BAD), "maps/more.map": "a b\n"})

    assert not (running.layout.folder / "maps/more.map").exists()


def test_a_port_that_is_taken_fails_the_reload(running):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        before = running.proxy.observe()
        with pytest.raises(ConfigRejected) as refused:
            running.reload(running.texts(f"\nfrontend more\n    bind 127.0.0.1:{port}\n"))

    assert running.proxy.observe() == before
    assert str(port) in str(refused.value)
    assert running.fetch() == (200, "one")


def test_a_port_that_is_taken_fails_the_reload_of_somebody_elses_haproxy(running):
    """Without its log, 2.6 does not say why, but it is known that it failed."""
    attached = HAProxy(running.layout, binary=BINARY)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        texts = running.texts(f"\nfrontend more\n    bind 127.0.0.1:{taken.getsockname()[1]}\n")
        running.layout.config.write_text(texts["haproxy.cfg"])
        with pytest.raises(ConfigRejected):
            attached.apply(Plan((Reload(("test",)),)))

    assert running.fetch() == (200, "one")


def test_a_haproxy_that_does_not_read_our_file_is_told_apart(running):
    folder = running.layout.folder.parent / "else"
    elsewhere = replace(running.layout, folder=folder)
    texts = running.texts()
    proxy = HAProxy(elsewhere, binary=BINARY)

    assert proxy.observe().alive
    assert proxy.observe().sections == {}
    assert proxy.observe().servers == {}
    with pytest.raises(HAProxyUnavailable, match="does not read"):
        proxy.apply(Plan((WriteFiles(tuple(texts)), Reload(("test",))), texts))


def test_a_dead_server_stays_down_across_a_reload_and_maint_is_what_the_file_says(running: Lab):
    checked = "\nbackend down\n    server a 127.0.0.1:1 check inter 100ms fall 1 rise 1\n"
    running.reload(running.texts(checked))
    assert eventually(lambda: not running.server("a", "down").up)
    slow = checked.replace("100ms", "60s")
    running.apply(SetServerState("gitea", "one", ServerState.MAINT))

    running.reload(running.texts(slow))

    assert not running.server("a", "down").up
    assert running.server("one").state is ServerState.READY


def test_a_server_that_drains_drains_after_a_reload_too(running):
    running.apply(SetServerState("gitea", "one", ServerState.DRAIN))
    running.reload(running.texts(NEW))

    assert running.server("one").state is ServerState.DRAIN


def test_a_server_that_was_added_survives_only_in_the_file(running):
    server = Server(name="new", address="127.0.0.1", port=running.ports["two"])
    running.apply(AddServer("gitea", server))
    running.reload(running.texts(NEW))

    assert running.server("new") is None


def test_where_somebody_else_starts_haproxy_it_is_told_that_it_is_not_there(tmp_path):
    with lab(tmp_path) as one:
        attached = HAProxy(one.layout, binary=BINARY)
        with pytest.raises(HAProxyAbsent):
            attached.apply(Plan((Start(),)))
        one.start()
        attached.apply(Plan((Start(),)))

        assert attached.observe().alive


def _kept_alive(one):
    """Return a connection that was answered once: it stays with the worker of now."""
    connection = http.client.HTTPConnection("127.0.0.1", one.ports["one"], timeout=5)
    connection.request("GET", "/")
    connection.getresponse().read()
    return connection


def test_old_workers_are_told_and_the_oldest_is_ended_when_they_are_too_many(tmp_path):
    keywords = "hard-stop-after 60s\n    mworker-max-reloads 2"
    config = CONFIG.replace("hard-stop-after 3s", keywords)
    with lab(tmp_path) as one:
        one.start(config=config)
        assert one.proxy.old_workers() == ()
        workers, connections = [], []
        for number in range(4):
            workers.append(one.proxy.observe().pid)
            connections.append(_kept_alive(one))
            one.reload(one.texts(f"\nbackend new{number}\n", config))

        eventually(lambda: len(one.proxy.old_workers()) == 2)
        old = one.proxy.old_workers()
        for connection in connections:
            connection.close()

        assert {worker.pid: worker.reloads for worker in old} == {workers[3]: 1, workers[2]: 2}
        eventually(lambda: one.proxy.old_workers() == ())


def test_a_plan_starts_haproxy_with_its_files(tmp_path):
    with lab(tmp_path) as one:
        texts = one.texts()
        assert one.proxy.observe().alive is False
        one.proxy.apply(Plan((WriteFiles(tuple(texts)), Start()), texts))

        assert one.fetch() == (200, "one")


def test_a_start_with_a_bad_configuration_is_explained(tmp_path):
    with lab(tmp_path) as one:
        texts = one.texts(BAD)
        with pytest.raises(ConfigRejected, match="balanse"):
            one.proxy.apply(Plan((WriteFiles(tuple(texts)), Start()), texts))

        assert not one.process.alive()
