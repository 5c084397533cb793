"""Every runtime step, applied to a real HAProxy and observed."""

import http.client
import socket
import threading

import pytest
from real_haproxy import CONFIG, Lab, eventually, lab

from proxyctl.haproxy.socket import RuntimeSocket
from proxyctl.plan.steps import (
    AddServer,
    PutMapEntry,
    RemoveMapEntry,
    RemoveServer,
    ReplaceMap,
    SetServerAddress,
    SetServerState,
    SetServerWeight,
)
from proxyctl.problems import CommandRejected
from proxyctl.state.model import RunningServer, Server, ServerState

pytestmark = pytest.mark.contract

MAP = "maps/web.map"


@pytest.fixture
def running(tmp_path):
    with lab(tmp_path) as one:
        one.start()
        yield one


def to(running: Lab, port: str, name: str = "new", **more) -> Server:
    return Server(name=name, address="127.0.0.1", port=running.ports[port], **more)


def is_removed(running: Lab, name: str) -> bool:
    running.apply(RemoveServer("gitea", name))
    return running.server(name) is None


def test_what_runs_is_observed(running):
    seen = running.proxy.observe()

    assert seen.alive
    assert seen.version >= (2, 6, 0)
    assert seen.sections.keys() >= {"global", "defaults", "frontend/web", "backend/gitea"}
    assert seen.servers["gitea"] == (
        RunningServer(
            name="one",
            address="127.0.0.1",
            port=running.ports["one"],
            weight=1,
            backup=False,
            state=ServerState.READY,
            id=1,
        ),
    )
    assert seen.servers["sticky"] == ()
    assert seen.maps == {MAP: (("gitea.test", "gitea"),)}
    assert seen.files.keys() == {"haproxy.cfg", MAP, "maps/sections.map"}


def test_an_added_server_takes_traffic(running):
    running.apply(RemoveServer("gitea", "one"), AddServer("gitea", to(running, "two", weight=7)))

    assert running.fetch() == (200, "two")
    assert running.server("new").weight == 7
    assert running.server("one") is None


def test_an_added_server_can_be_reached_by_ipv6(running):
    server = Server(name="six", address="::1", port=running.ports["two"])
    running.apply(RemoveServer("gitea", "one"), AddServer("gitea", server))

    assert running.fetch() == (200, "two")
    assert running.server("six").address == "::1"


def test_added_servers_share_the_traffic(running):
    servers = (to(running, port, name=port) for port in ("one", "two"))
    running.apply(RemoveServer("gitea", "one"), *(AddServer("gitea", one) for one in servers))

    assert {running.fetch()[1] for _ in range(60)} == {"one", "two"}


def test_an_added_server_is_checked(running):
    options = (
        "check", "inter 100ms", "fastinter 100ms", "downinter 100ms", "rise 1", "fall 2",
        "observe layer4", "error-limit 3", "on-error mark-down", "maxconn 5",
    )  # fmt: skip
    dead = Server(name="dead", address="127.0.0.1", port=1)
    running.apply(
        AddServer("gitea", dead, options), AddServer("gitea", to(running, "two"), options)
    )

    assert eventually(lambda: not running.server("dead").up)
    assert running.server("new").up


def test_an_added_server_can_speak_tls_or_http2_or_the_proxy_protocol(running):
    tls = ("ssl verify none", "sni req.hdr(host),field(1,:)", "alpn http/1.1", "check")
    running.apply(
        AddServer("gitea", to(running, "one", name="tls"), tls),
        AddServer("gitea", to(running, "one", name="h2c"), ("proto h2",)),
        AddServer("gitea", to(running, "one", name="v2"), ("check", "send-proxy-v2")),
        AddServer("gitea", to(running, "one", name="b", backup=True), ("port 81", "check")),
    )

    assert running.server("tls")
    assert running.server("b").backup
    assert not running.server("v2").backup


@pytest.mark.parametrize("state", list(ServerState))
def test_a_server_is_added_in_its_state(running, state):
    running.apply(AddServer("gitea", to(running, "two", state=state), ("check",)))

    assert running.server("new").state is state


def test_an_added_server_has_a_cookie(running):
    running.apply(
        AddServer("sticky", to(running, "two")), PutMapEntry(MAP, "sticky.test", "sticky")
    )
    connection = http.client.HTTPConnection("127.0.0.1", running.ports["port"], timeout=5)
    connection.request("GET", "/", headers={"Host": "sticky.test"})
    cookie = connection.getresponse().headers["Set-Cookie"]
    connection.close()

    assert cookie.startswith("PX=")
    assert not cookie.startswith("PX=;")


def test_removing_a_server_that_is_gone_is_fine(running):
    running.apply(RemoveServer("gitea", "one"), RemoveServer("gitea", "one"))

    assert running.server("one") is None


def test_a_server_in_use_is_left_in_maint_and_deleted_when_it_is_idle(running):
    answers = []
    request = threading.Thread(target=lambda: answers.append(running.fetch()))
    with socket.socket() as slow:
        slow.bind(("127.0.0.1", 0))
        slow.listen()
        server = Server(name="new", address="127.0.0.1", port=slow.getsockname()[1])
        running.apply(RemoveServer("gitea", "one"), AddServer("gitea", server))
        request.start()
        connection, _ = slow.accept()

        running.apply(RemoveServer("gitea", "new", gone=False))

        assert running.server("new").state is ServerState.MAINT
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")
        request.join()
        connection.close()
    assert answers == [(200, "slow")]
    assert eventually(lambda: is_removed(running, "new"))


def test_sessions_are_told_as_of_now(running):
    before = running.proxy.observe()
    with socket.socket() as slow:
        slow.bind(("127.0.0.1", 0))
        slow.listen()
        server = Server(name="new", address="127.0.0.1", port=slow.getsockname()[1])
        running.apply(RemoveServer("gitea", "one"), AddServer("gitea", server))
        request = threading.Thread(target=running.fetch)
        request.start()
        connection, _ = slow.accept()

        (now,) = running.proxy.as_of_now(before).servers["gitea"]

        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        request.join()
        connection.close()
    assert (now.name, now.sessions) == ("new", 1)
    running.process.stop()
    assert running.proxy.as_of_now(before) == before


def test_what_a_server_that_is_gone_has_not_answered_is_cut(running):
    answers = []

    def ask():
        try:
            answers.append(running.fetch()[0])
        except http.client.RemoteDisconnected:  # 3.0 and newer say no more
            answers.append("cut")

    request = threading.Thread(target=ask)
    with socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))
        dead.listen()
        server = Server(name="new", address="127.0.0.1", port=dead.getsockname()[1])
        running.apply(RemoveServer("gitea", "one"), AddServer("gitea", server))
        request.start()
        connection, _ = dead.accept()

        running.apply(RemoveServer("gitea", "new"))
        request.join()
        connection.close()

    assert is_removed(running, "new")
    assert answers[0] in {"cut", 502, 503}


def test_the_next_request_goes_to_the_new_address(running):
    running.apply(SetServerAddress("gitea", "one", "127.0.0.1", running.ports["two"]))
    assert running.fetch() == (200, "two")

    running.apply(SetServerAddress("gitea", "one", "::1", running.ports["two"]))

    assert running.fetch() == (200, "two")
    assert running.server("one").address == "::1"


def test_setting_what_is_already_so_is_fine(running):
    same = SetServerAddress("gitea", "one", "127.0.0.1", running.ports["one"])
    running.apply(same, SetServerWeight("gitea", "one", 1))

    assert running.fetch() == (200, "one")


def test_weight_and_state_are_set(running):
    running.apply(
        SetServerWeight("gitea", "one", 42), SetServerState("gitea", "one", ServerState.DRAIN)
    )
    assert running.server("one").weight == 42
    assert running.server("one").state is ServerState.DRAIN

    running.apply(SetServerState("gitea", "one", ServerState.MAINT))
    assert running.server("one").state is ServerState.MAINT
    assert running.fetch()[0] == 503

    running.apply(SetServerState("gitea", "one", ServerState.READY))
    assert running.server("one").state is ServerState.READY
    assert running.fetch()[0] == 200


def test_putting_an_entry_again_changes_it_and_adds_no_second(running):
    for value in ("gitea", "gitea", "sticky", "gitea"):
        running.apply(PutMapEntry(MAP, "b.test", value), PutMapEntry(MAP, "gitea.test", value))

    assert running.entries() == (("b.test", "gitea"), ("gitea.test", "gitea"))
    assert running.fetch("b.test") == (200, "one")


def test_a_removed_entry_routes_no_longer_and_may_be_removed_twice(running):
    running.apply(RemoveMapEntry(MAP, "gitea.test"), RemoveMapEntry(MAP, "gitea.test"))

    assert running.entries() == ()
    assert running.fetch()[0] == 404


def test_a_big_map_is_replaced_while_requests_are_answered(running):
    entries = tuple((f"host{number:04}.example.test", "gitea") for number in range(5000))
    entries = tuple(sorted((*entries, ("gitea.test", "gitea"))))
    done = threading.Event()
    statuses = set()

    def ask() -> None:
        while not done.is_set():
            statuses.add(running.fetch()[0])

    client = threading.Thread(target=ask)
    client.start()
    try:
        for _ in range(3):
            running.apply(ReplaceMap(MAP, entries))
    finally:
        done.set()
        client.join()

    assert running.entries() == entries
    assert statuses == {200}
    assert running.fetch("host4999.example.test") == (200, "one")


def test_a_map_can_be_emptied_at_once(running):
    running.apply(ReplaceMap(MAP, ()))

    assert running.entries() == ()


def test_a_map_with_one_bad_entry_stays_as_it_was(running):
    with pytest.raises(CommandRejected):
        running.apply(ReplaceMap(MAP, (("a.test", "gitea"), ("b.test;", "gitea"))))

    assert running.entries() == (("gitea.test", "gitea"),)


def test_maps_may_be_named_relative_to_the_configuration(tmp_path):
    with lab(tmp_path) as one:
        config = CONFIG.replace("{folder}/maps", "maps")
        one.start(config=config.replace("global\n", "global\n    default-path config\n", 1))
        one.apply(PutMapEntry(MAP, "b.test", "gitea"))

        assert one.entries() == (("b.test", "gitea"), ("gitea.test", "gitea"))
        assert one.proxy.observe().sections


def test_a_step_that_haproxy_refuses_is_named(running):
    with pytest.raises(CommandRejected, match=r"AddServer: .*nope.*(No such|find) backend"):
        running.apply(AddServer("nope", to(running, "two")))


def test_nothing_is_done_after_a_step_that_failed(running):
    with pytest.raises(CommandRejected, match="SetServerWeight"):
        running.apply(
            SetServerWeight("gitea", "nope", 1), SetServerState("gitea", "one", ServerState.MAINT)
        )

    assert running.server("one").state is ServerState.READY


@pytest.mark.parametrize(
    "step",
    [
        SetServerState("gitea", "one state maint;set server gitea/one", ServerState.READY),
        SetServerAddress("gitea", "one", "127.0.0.1 port 1;", 80),
        SetServerAddress("gitea", "one", "example.test", 80),
        SetServerWeight("gitea\ndisable server gitea", "one", 5),
        PutMapEntry(MAP, "a b", "gitea"),
        PutMapEntry(MAP, "a.test", "gitea;shutdown sessions server gitea/one"),
        PutMapEntry(MAP, "<<", "gitea"),
        RemoveMapEntry(MAP, "#0x1"),
        PutMapEntry(MAP, "a.test", "gitea\n\nset server gitea/one state maint"),
        AddServer("gitea", Server(name="x", address="127.0.0.1", port=80), ("check;help",)),
    ],
)
def test_hostile_values_change_nothing(running, step):
    before = running.proxy.observe()
    with pytest.raises(CommandRejected, match="not sent"):
        running.apply(step)

    assert running.proxy.observe() == before


def test_the_workers_own_socket_speaks_the_same_language(running):
    worker = RuntimeSocket(running.layout.folder / "worker.sock", prefix="")
    map_name = running.layout.folder / MAP
    answers = worker.ask([f"add map {map_name} <<\nb.test gitea\n", f"show map {map_name}"])

    assert "b.test gitea" in answers[1]


def test_long_listings_are_complete(running):
    """The master forgets to end a few of those that are longer than a socket's buffer."""
    entries = tuple((f"host{number:04}.example.test", "gitea") for number in range(5000))
    running.apply(ReplaceMap(MAP, entries))

    assert {running.entries() for _ in range(100)} == {entries}
