"""HTTP/3 as it is rendered, asked of the real HAProxy by a client that speaks nothing else.

A HAProxy without QUIC is asked the same: nobody is there, and nothing tells of it.
"""

import asyncio
import json
import socket
import ssl
import subprocess
import time
from dataclasses import replace

import pytest
import quic
from edge import ask, certificate, edge, lenient
from real_haproxy import BINARY, eventually

from proxyctl.files.certificates import Keyring, Places
from proxyctl.files.memory import Memory
from proxyctl.haproxy import program
from proxyctl.haproxy.proxy import HAProxy
from proxyctl.plan.planner import make_plan
from proxyctl.plan.steps import PutCertificate, Reload
from proxyctl.reconciler import Reconciler
from proxyctl.state.model import Global, Quic
from tests.fakes.keyring import FakeKeyring, offer
from tests.pipeline import settings
from tests.unit.test_reconciler import FakeSource

pytestmark = pytest.mark.contract
HAS_QUIC = program.quic(BINARY).is_usable
NOBODY = (OSError, ConnectionError, TimeoutError)


@pytest.fixture
def front(tmp_path):
    with edge(tmp_path) as one:
        yield one


def listens(front, entrypoint="websecure") -> bool:
    """Tell whether anybody has the port of UDP."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", front.ports[entrypoint]))
        except OSError:
            return True
        return False


def only_tcp(front) -> bool:
    """Tell whether this HAProxy has no QUIC; nothing of it may be seen then."""
    if HAS_QUIC:
        assert listens(front)
        return False
    assert not listens(front)
    assert not listens(front, "admin")
    assert "quic" not in (front.layout.folder / "haproxy.cfg").read_text()
    assert ask(front.tls("a.test"), "a.test").headers["Alt-Svc"] is None
    return True


def by_http3(front, name, host=None, path="/", entrypoint="websecure", **more):
    answer, _ = quic.ask(front.ports[entrypoint], name, host or name, path, **more)
    return answer


def told(answer) -> dict:
    assert answer.status == 200, (answer.status, answer.text)
    return json.loads(answer.text)


@pytest.mark.parametrize("more", ["", "passthrough = true"])
def test_a_pod_answers_by_http3(front, more):
    front.serve(front.pod("a", host="a.test"), more=more)
    if only_tcp(front):
        return

    got = told(by_http3(front, "a.test", **{"x-forwarded-proto": "gopher"}))

    assert got["pod"] == "a"
    assert got["headers"]["x-forwarded-proto"] == "https"
    assert got["headers"]["x-forwarded-for"] == "127.0.0.1"
    assert got["headers"]["host"] == "a.test"


def over_http2(front, host, path="/"):
    """Return status and Alt-Svc of an answer by HTTP/2."""
    port = front.ports["websecure"]
    write = "%{http_version} %{http_code} %header{alt-svc}"
    url = f"https://{host}:{port}{path}"
    command = ["curl", "-sk", "-o", "/dev/null", "--http2", "-w", write, "--max-time", "10"]
    resolve = ["--resolve", f"{host}:{port}:127.0.0.1"]
    said = subprocess.run([*command, *resolve, url], capture_output=True, text=True, check=True)
    version, status, *told = said.stdout.split(" ", 2)
    assert version == "2"
    return int(status), told[0] if told and told[0] else None


def test_every_answer_by_tls_tells_of_http3(front):
    vault = front.pod("vault", host="vault.test", mode="passthrough")
    down = front.pod("down", host="down.test", hold="off", health="off")
    down = replace(down, servers=("127.0.0.1:1",))
    front.serve(front.pod("a", **{"host": "a.test", "redirect-from": "www.test"}), vault, down)

    over_tls = {
        where: ask(front.tls("a.test"), *where.split())
        for where in (
            "a.test",
            "www.test",
            "nobody.test",
            "vault.test",
            "down.test",
            "a.test /../b",
        )
    }

    assert {host: one.status for host, one in over_tls.items()} == {
        "a.test": 200,
        "www.test": 308,
        "nobody.test": 404,
        "vault.test": 421,
        "down.test": 503,
        "a.test /../b": 400,
    }
    header = f'h3=":{front.ports["websecure"]}"; ma=3600' if HAS_QUIC else None
    assert {one.headers["Alt-Svc"] for one in over_tls.values()} == {header}
    assert over_http2(front, "a.test") == (200, header)
    assert over_http2(front, "www.test") == (308, header)
    assert ask(front.connect("web"), "a.test").headers["Alt-Svc"] is None
    if not only_tcp(front):
        redirect = by_http3(front, "www.test", path="/x?y")
        assert (redirect.status, redirect.headers["alt-svc"]) == (308, header)
        assert redirect.headers["location"] == f"https://a.test:{front.ports['websecure']}/x?y"
        assert by_http3(front, "nobody.test").headers["alt-svc"] == header


def test_a_host_that_is_passed_on_is_sent_back_whatever_the_handshake_was_for(front, tmp_path):
    own = certificate(tmp_path, "vault.test")
    vault = front.pod("vault", certificate=own, host="vault.test,*.pki.test", mode="passthrough")
    front.serve(vault, front.pod("a", host="a.test,*.test,open.pki.test"))
    if only_tcp(front):
        return
    pairs = [
        ("a.test", "a.test"),
        ("a.test", "b.test"),
        ("a.test", "open.pki.test"),
        ("open.pki.test", "open.pki.test"),
        ("a.test", "vault.test"),
        ("vault.test", "vault.test"),
        ("x.pki.test", "x.pki.test"),
        ("VAULT.test", "vault.test."),
    ]

    statuses = [by_http3(front, name, host).status for name, host in pairs]

    assert statuses == [200, 200, 200, 200, 421, 421, 421, 421]


def test_the_certificate_is_that_of_the_name_as_by_tcp(front):
    front.serve(front.pod("a", host="a.test"), front.pod("b", host="b.test"))
    if only_tcp(front):
        return
    port = front.ports["websecure"]

    shown = [quic.ask(port, name, "a.test")[1] for name in ("a.test", "b.test", "else.test")]

    names = ("a.test", "b.test", "else.test")
    assert shown == [front.tls(name).getpeercert(binary_form=True) for name in names]
    assert len(set(shown)) == 3


def test_a_new_certificate_is_served_without_a_reload(front):
    a = front.pod("a", host="a.test")
    front.serve(a)
    if only_tcp(front):
        return
    port = front.ports["websecure"]
    before = quic.ask(port, "a.test", "a.test")[1]
    stock = front.keyring.stock
    bought = offer("bought", "a.test", seed="ca")
    front.keyring = FakeKeyring(replace(stock, offers=(bought, *stock.offers)))
    now = front.decided(a)
    plan = make_plan(now.desired, now.rendered, front.proxy.observe())

    front.proxy.apply(plan)

    assert any(isinstance(step, PutCertificate) for step in plan.steps)
    assert not any(isinstance(step, Reload) for step in plan.steps)
    after = quic.ask(port, "a.test", "a.test")[1]
    assert after != before
    assert after == front.tls("a.test").getpeercert(binary_form=True)


def test_only_clients_with_a_certificate_of_the_named_ca_are_let_in(front):
    front.serve(front.pod("a", host="a.test", entrypoint="admin,websecure"))
    if only_tcp(front):
        return

    def admitted(client):
        try:
            return told(by_http3(front, "a.test", entrypoint="admin", client=client))
        except NOBODY:
            return None

    assert admitted(None) is None
    assert admitted(front.stranger) is None
    der = ssl.PEM_cert_to_DER_cert(front.staff.read_text().partition("-----BEGIN PRIVATE")[0])
    encoded = ssl.DER_cert_to_PEM_cert(der).split("-----")[2].replace("\n", "")
    assert admitted(front.staff)["headers"]["client-cert"] == f":{encoded}:"
    spoofed = by_http3(front, "a.test", **{"client-cert": f":{encoded}:"})
    assert "client-cert" not in told(spoofed)["headers"]


def test_a_reload_answers_what_was_asked_and_takes_new_connections(front):
    a = front.pod("a", host="a.test")
    front.serve(a)
    if only_tcp(front):
        return
    (server,) = front.servers
    server.gate.clear()
    port = front.ports["websecure"]

    async def over_a_reload():
        async with quic.connection(port, "a.test") as before:
            asked = asyncio.create_task(before.ask("a.test"))
            assert await asyncio.to_thread(server.asked.wait, 10)
            await asyncio.to_thread(front.serve, a, front.pod("b", host="b.test"))
            async with quic.connection(port, "b.test") as after:
                server.gate.set()
                return await asked, await after.ask("b.test"), before

    old, new, before = asyncio.run(asyncio.wait_for(over_a_reload(), 40))

    assert (told(old)["pod"], told(new)["pod"]) == ("a", "b")
    assert before.is_leaving  # GOAWAY: its client knows that it has to connect anew


# ---- where it is not to be -------------------------------------------------------------------


def test_it_is_switched_off_and_on_by_a_reload(front):
    a = front.pod("a", host="a.test")
    front.serve(a, more="http3 = false")
    assert not listens(front)
    assert ask(front.tls("a.test"), "a.test").headers["Alt-Svc"] is None

    front.serve(a)

    if not only_tcp(front):
        assert told(by_http3(front, "a.test"))["pod"] == "a"
    front.serve(a, more="http3 = false")
    assert ask(front.tls("a.test"), "a.test").headers["Alt-Svc"] is None
    assert eventually(lambda: not listens(front))


def test_who_asks_for_it_of_a_haproxy_without_quic_is_told_and_served(front):
    decision = front.decided(front.pod("a", host="a.test"), more="http3 = true", quic=Quic.NONE)

    assert [problem.id for problem in decision.problems] == ["PX427"]
    real = front.decided(front.pod("a", host="a.test"), more="http3 = true")
    assert [problem.id for problem in real.problems] == ([] if HAS_QUIC else ["PX427"])
    front.files(decision.rendered.texts)
    front.process.start()
    assert told(ask(front.tls("a.test"), "a.test"))["pod"] == "a"
    assert not listens(front)


def service(front, *workloads, text: str = "", owned: bool = True) -> Reconciler:
    places = Places(
        folder=front.folder / "settings",
        state=front.folder / "state",
        challenges=front.folder / "challenges",
    )
    (places.folder / "ca").mkdir(parents=True, exist_ok=True)
    (places.folder / "ca" / "staff.pem").write_bytes(front.staff.read_bytes())
    return Reconciler(
        settings=settings(text or front.text()),
        sources=[FakeSource(*workloads)],
        proxy=front.proxy,
        overrides=dict,
        identity=Global(folder=str(front.layout.folder), cookie_key="k", owned=owned),
        memory=Memory(),
        keyring=Keyring(places, time.time, read_only=False),
    )


def test_a_port_of_udp_that_is_taken_costs_http3_only(front):
    a, b = front.pod("a", host="a.test"), front.pod("b", host="b.test", allow="private")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as somebody:
        somebody.bind(("127.0.0.1", front.ports["websecure"]))

        view = service(front, a).once()

        assert view.haproxy_error == ""
        assert [p.id for p in view.problems] == (["PX428"] if HAS_QUIC else [])
        assert all("protocol quic4: cannot bind" in p.where for p in view.problems)
        assert told(ask(front.tls("a.test"), "a.test"))["pod"] == "a"
        view = service(front, a, b).once()  # with a section that needs a reload
        assert view.haproxy_error == ""
        assert told(ask(front.tls("b.test"), "b.test"))["pod"] == "b"

    view = service(front, a, b).once()

    assert view.problems == ()
    if not only_tcp(front):
        assert told(by_http3(front, "b.test"))["pod"] == "b"


def test_a_haproxy_that_was_killed_comes_back_though_its_port_of_udp_was_taken(front):
    a = front.pod("a", host="a.test")
    service(front, a).once()
    assert listens(front) == HAS_QUIC
    front.process.stop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as somebody:
        somebody.bind(("127.0.0.1", front.ports["websecure"]))

        view = service(front, a).once()

        assert [p.id for p in view.problems] == (["PX428"] if HAS_QUIC else [])
        assert told(ask(front.tls("a.test"), "a.test"))["pod"] == "a"


def test_nobody_is_let_in_by_the_abstract_socket_because_of_quic(front):
    front.serve(front.pod("a", host="a.test"), more="passthrough = true")
    behind = front.decided(more="passthrough = true").desired.frontends[-1]
    name = b"\0" + behind.detour.address.removeprefix("abns@").encode()
    stranger = socket.socket(socket.AF_UNIX)
    stranger.settimeout(10)
    stranger.connect(name.ljust(108, b"\0"))
    # A header of the PROXY protocol whose unique id is a guess, and that speaks of UDP.
    tlv = b"\x05\x00\x04quic"
    addresses = socket.inet_aton("127.0.0.1") * 2 + b"\x04\xd2\x01\xbb"
    length = (len(addresses) + len(tlv)).to_bytes(2, "big")
    stranger.sendall(b"\r\n\r\n\0\r\nQUIT\n\x21\x12" + length + addresses + tlv)

    with pytest.raises((OSError, ssl.SSLError)):
        ask(lenient().wrap_socket(stranger, server_hostname="a.test"), "a.test")
    if not only_tcp(front):
        assert told(by_http3(front, "a.test"))["pod"] == "a"


def test_in_mode_attach_it_is_asked_for_and_a_global_without_limited_quic_costs_no_pod(front):
    own = front.folder / "haproxy.cfg"
    mine = front.text("http3 = true").replace('"embedded"', '"attach"')
    has = program.quic(BINARY)
    found = {}
    for line in ("", "limited-quic") if HAS_QUIC else ("",):
        own.write_text(f"global\n    {line}\n")
        front.proxy = HAProxy(front.layout, binary=BINARY, before=(own,))
        reconciler = service(front, front.pod("a", host="a.test"), text=mine, owned=False)

        view = reconciler.look()

        assert [share.name for share in view.shares] == ["a"]
        spoken = "bind quic4@" in view.rendered.texts["haproxy.cfg"]
        found[line] = spoken, [problem.id for problem in view.problems]
        assert all("limited-quic" in p.where for p in view.problems if p.id == "PX428")

    without = {
        Quic.NONE: (False, ["PX427"]),
        Quic.LIMITED: (False, ["PX428"]),
        Quic.FULL: (True, []),
    }
    assert found == {"": without[has]} | ({"limited-quic": (True, [])} if HAS_QUIC else {})
