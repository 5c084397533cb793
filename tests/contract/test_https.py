"""The entrypoints with TLS as they are rendered, asked of the real HAProxy."""

import json
import random
import socket
import ssl
import struct
import subprocess
from dataclasses import replace

import pytest
from edge import ask, certificate, edge, lenient
from real_haproxy import BINARY, eventually, free_ports

from proxyctl.plan.steps import AddServer, Plan, RemoveServer
from proxyctl.status.lookup import look_up_name, winner

pytestmark = pytest.mark.contract


@pytest.fixture
def front(tmp_path):
    with edge(tmp_path) as one:
        yield one


def header_v2(client: str, to: str = "127.0.0.1") -> bytes:
    """Return a header of the PROXY protocol, version 2, for TCP over IPv4."""
    addresses = socket.inet_aton(client) + socket.inet_aton(to) + struct.pack("!HH", 1234, 443)
    return b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + struct.pack("!H", len(addresses)) + addresses


def told(response) -> dict:
    assert response.status == 200, (response.status, response.text)
    return json.loads(response.text)


def test_a_pod_is_served_by_tls_and_knows_it(front):
    front.serve(front.pod("a", host="a.test"))

    got = told(ask(front.tls("a.test"), "a.test", headers={"X-Forwarded-Proto": "gopher"}))

    assert got["pod"] == "a"
    assert got["headers"]["x-forwarded-proto"] == "https"
    assert got["headers"]["x-forwarded-for"] == "127.0.0.1"


def test_http_2_and_http_1_are_agreed_upon_in_the_handshake(front):
    front.serve(front.pod("a", host="a.test"))
    agreed = []
    for offers in (["h2", "http/1.1"], ["http/1.1"]):
        context = lenient()
        context.set_alpn_protocols(offers)
        agreed.append(front.tls("a.test", context=context).selected_alpn_protocol())

    assert agreed == ["h2", "http/1.1"]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("detour", ["", "passthrough = true"])
@pytest.mark.parametrize(
    ("version", "ciphers", "welcome"),
    [
        (ssl.TLSVersion.TLSv1, "ALL:@SECLEVEL=0", False),
        (ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0", False),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-GCM-SHA256", True),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-CHACHA20-POLY1305", True),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0", False),
        (ssl.TLSVersion.TLSv1_2, "AES128-SHA:AES256-SHA:@SECLEVEL=0", False),
        (ssl.TLSVersion.TLSv1_3, "", True),
    ],
)
def test_only_good_protocols_and_ciphers_are_spoken(front, version, ciphers, welcome, detour):
    front.serve(front.pod("a", host="a.test"), more=detour)
    context = lenient()
    if ciphers:
        context.set_ciphers(ciphers)
    context.minimum_version = context.maximum_version = version

    try:
        ok = told(ask(front.tls("a.test", context=context), "a.test"))["pod"] == "a"
    except (ssl.SSLError, OSError):
        ok = False

    assert ok == welcome


def test_without_tls_requests_are_sent_to_the_same_url_with_it(front):
    a = front.pod("a", **{"host": "a.test,*.w.test", "redirect-https": "yes", "path": "/x"})
    front.serve(a, front.pod("b", host="a.test"))
    secure = front.ports["websecure"]

    moved = ask(front.connect("web"), "A.test:80", "/x/y%20z?q=1&r=//evil.test/")
    wild = ask(front.connect("web"), "k.w.test", "/x")
    other = ask(front.connect("web"), "a.test", "/y")

    assert moved.status == wild.status == 308
    assert moved.headers["Location"] == f"https://a.test:{secure}/x/y%20z?q=1&r=//evil.test/"
    assert wild.headers["Location"] == f"https://k.w.test:{secure}/x"
    assert told(other)["pod"] == "b"
    assert told(ask(front.tls("a.test"), "a.test", "/x"))["pod"] == "a"


def test_who_came_by_https_to_a_trusted_proxy_is_not_sent_in_circles(front):
    front.serve(front.pod("a", **{"host": "a.test", "redirect-https": "yes"}))
    by_https = {"X-Forwarded-Proto": "https"}

    trusted = ask(front.connect("web", "127.0.0.2"), "a.test", headers=by_https)
    stranger = ask(front.connect("web"), "a.test", headers=by_https)

    assert told(trusted)["headers"]["x-forwarded-proto"] == "https"
    assert stranger.status == 308


def test_a_redirect_leaves_the_path_of_acme_to_the_pod(front):
    front.serve(front.pod("a", **{"host": "a.test", "redirect-https": "yes"}))

    got = ask(front.connect("web"), "a.test", "/.well-known/acme-challenge/token")

    assert told(got)["pod"] == "a"


def test_other_names_lead_to_the_first_host(front):
    labels = {"host": "a.test,b.test", "redirect-from": "www.a.test,*.old.test"}
    front.serve(front.pod("a", **labels))
    secure, web = front.ports["websecure"], front.ports["web"]

    found = [
        ask(front.connect("web"), "www.a.test", "/p?q"),
        ask(front.connect("web"), "x.old.test"),
        ask(front.tls("www.a.test"), "www.a.test", "/p?q"),
    ]

    assert [one.status for one in found] == [308, 308, 308]
    assert [one.headers["Location"] for one in found] == [
        f"http://a.test:{web}/p?q",
        f"http://a.test:{web}/",
        f"https://a.test:{secure}/p?q",
    ]


def test_hsts_is_said_by_tls_only(front):
    front.serve(front.pod("a", host="a.test", hsts="365d"))

    assert ask(front.tls("a.test"), "a.test").headers["Strict-Transport-Security"] == (
        "max-age=31536000"
    )
    assert ask(front.connect("web"), "a.test").headers["Strict-Transport-Security"] is None


def test_only_clients_with_a_certificate_of_the_named_ca_are_let_in(front):
    front.serve(front.pod("a", host="a.test", entrypoint="admin,web"))

    def admitted(client):
        try:
            return told(ask(front.tls("a.test", "admin", context=lenient(client)), "a.test"))
        except (ssl.SSLError, OSError):
            return None

    assert admitted(None) is None
    assert admitted(front.stranger) is None
    der = ssl.PEM_cert_to_DER_cert(front.staff.read_text().partition("-----BEGIN PRIVATE")[0])
    encoded = ssl.DER_cert_to_PEM_cert(der).split("-----")[2].replace("\n", "")
    assert admitted(front.staff)["headers"]["client-cert"] == f":{encoded}:"
    spoofed = ask(front.connect("web"), "a.test", headers={"Client-Cert": f":{encoded}:"})
    assert "client-cert" not in told(spoofed)["headers"]


POD = """
defaults
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s
frontend pod
    bind 127.0.0.1:{port} {words}
    http-request return status 200 content-type text/plain lf-string "%HV %[ssl_fc_sni]"
"""


@pytest.mark.parametrize("health", ["tcp", "/healthz"])
@pytest.mark.parametrize(
    ("scheme", "words", "answer"),
    [("https", "ssl crt {}", "HTTP/1.1 a.test"), ("h2c", "proto h2", "HTTP/2.0")],
)
def test_a_pod_is_spoken_to_by_its_scheme(front, tmp_path, scheme, words, answer, health):
    (port,) = free_ports(1)
    own = certificate(tmp_path, "inner.test")
    (tmp_path / "pod.cfg").write_text(POD.format(port=port, words=words.format(own)))
    with subprocess.Popen([BINARY, "-f", str(tmp_path / "pod.cfg")]) as there:
        try:
            a = front.pod("a", host="a.test", scheme=scheme, health=health)
            a = replace(a, servers=(f"127.0.0.1:{port}",))
            front.serve(a)

            def is_served():
                return ask(front.connect("web"), "a.test").text.startswith(answer)

            def is_up():
                return front.check_of("a") == ("L7OK" if health != "tcp" else well)

            well = "L6OK" if scheme == "https" else "L4OK"
            assert eventually(is_served)
            assert eventually(is_up)

            # The same by the runtime API, which takes nothing over from the file.
            (backend,) = front.decided(a).desired.backends
            (server,) = backend.servers
            again = AddServer("a", server, backend.server_options)
            front.proxy.apply(Plan((RemoveServer("a", server.name), again)))
            assert eventually(is_up)
            assert eventually(is_served)
        finally:
            there.terminate()


# ---- passthrough ---------------------------------------------------------------------------


def test_tls_is_passed_on_by_its_name_beside_names_where_it_ends(front, tmp_path):
    own = certificate(tmp_path, "vault.test")
    vault = front.pod("vault", certificate=own, host="vault.test,*.pki.test", mode="passthrough")
    front.serve(vault, front.pod("a", host="a.test,open.pki.test"))
    expected = ssl.PEM_cert_to_DER_cert(own.read_text().partition("-----BEGIN PRIVATE")[0])

    for name in ("vault.test", "VAULT.test", "x.pki.test", "y.x.pki.test"):
        there = front.tls(name)
        assert there.getpeercert(binary_form=True) == expected
        assert told(ask(there, name.lower()))["pod"] == "vault"
    for name in ("a.test", "open.pki.test"):
        got = told(ask(front.tls(name), name))
        assert got["pod"] == "a"
        assert got["headers"]["x-forwarded-for"] == "127.0.0.1"
        assert got["headers"]["x-forwarded-proto"] == "https"
    assert ask(front.tls(""), "nobody.test").status == 404


def test_a_connection_that_was_made_for_another_name_is_sent_back(front, tmp_path):
    own = certificate(tmp_path, "vault.test")
    vault = front.pod("vault", certificate=own, host="vault.test,*.pki.test", mode="passthrough")
    front.serve(vault, front.pod("a", host="*.test,open.pki.test"))

    statuses = {
        host: ask(front.tls("a.test"), host).status
        for host in ("a.test", "b.test", "vault.test", "x.pki.test", "open.pki.test")
    }

    assert statuses == {
        "a.test": 200,
        "b.test": 200,
        "vault.test": 421,
        "x.pki.test": 421,
        "open.pki.test": 200,
    }


def test_nobody_else_speaks_to_the_frontend_behind(front):
    front.serve(front.pod("a", host="a.test"), more="passthrough = true")
    address = front.decided(more="passthrough = true").desired.frontends[-1].detour.address
    name = b"\0" + address.removeprefix("abns@").encode()
    stranger = socket.socket(socket.AF_UNIX)
    stranger.settimeout(10)
    stranger.connect(name.ljust(108, b"\0"))
    stranger.sendall(header_v2("10.1.2.3"))

    with pytest.raises((OSError, ssl.SSLError)):
        ask(lenient().wrap_socket(stranger, server_hostname="a.test"), "a.test")
    assert told(ask(front.tls("a.test"), "a.test"))["pod"] == "a"


def test_the_first_route_that_is_passed_on_interrupts_nobody(front, tmp_path):
    own = certificate(tmp_path, "vault.test")
    a = front.pod("a", host="a.test")
    front.serve(a)
    open_before = front.tls("a.test")
    assert told(ask(open_before, "a.test"))["pod"] == "a"

    vault = front.pod("vault", certificate=own, host="vault.test", mode="passthrough")
    front.serve(a, vault)

    assert told(ask(open_before, "a.test"))["pod"] == "a"
    assert told(ask(front.tls("a.test"), "a.test"))["pod"] == "a"
    assert told(ask(front.tls("vault.test"), "vault.test"))["pod"] == "vault"
    front.serve(a)
    assert told(ask(front.tls("a.test"), "a.test"))["pod"] == "a"


def test_lookup_says_what_haproxy_does_with_random_names(front, tmp_path):
    chance = random.Random(4)
    labels = ("a", "b", "c")
    own = certificate(tmp_path, "passed.test")
    names = [".".join(chance.choices(labels, k=chance.randint(1, 4))) for _ in range(24)]
    hosts = {f"*.{n}.test" if chance.random() < 0.4 else f"{n}.test" for n in names}
    passed, ended = sorted(hosts)[::2], sorted(hosts)[1::2]
    pods = (
        front.pod("passed", certificate=own, host=",".join(passed), mode="passthrough"),
        front.pod("ended", host=",".join(ended)),
    )
    front.serve(*pods)
    maps = {one.file: one.entries for one in front.decided(*pods).desired.maps}
    theirs = ssl.PEM_cert_to_DER_cert(own.read_text().partition("-----BEGIN PRIVATE")[0])

    for _ in range(120):
        name = ".".join([*chance.choices(labels, k=chance.randint(1, 5)), "test"])
        said = winner(look_up_name(maps["maps/websecure.sni.map"], name))
        is_passed = front.tls(name).getpeercert(binary_form=True) == theirs
        assert is_passed == (said == "passed"), (name, said, passed, ended)


# ---- the PROXY protocol --------------------------------------------------------------------


@pytest.mark.parametrize("more", ["", "passthrough = true"])
def test_the_clients_address_comes_with_the_proxy_protocol(front, more):
    front.serve(front.pod("a", host="a.test"), more=f"{more}\nproxy-protocol = true")
    plain = front.connect("websecure")
    plain.sendall(header_v2("10.1.2.3"))

    got = told(ask(front.tls("a.test", plain=plain), "a.test"))

    assert got["headers"]["x-forwarded-for"] == "10.1.2.3"
    with pytest.raises((OSError, ssl.SSLError)):
        front.tls("a.test")


@pytest.mark.parametrize("more", ["", "passthrough = true"])
def test_the_proxy_protocol_can_be_for_some_networks(front, more):
    front.serve(front.pod("a", host="a.test"), more=f'{more}\nproxy-protocol = ["127.0.0.7/32"]')
    proxied = front.connect("websecure", "127.0.0.7")
    proxied.sendall(header_v2("10.1.2.3"))
    liar = front.connect("websecure", "127.0.0.8")
    liar.sendall(header_v2("10.1.2.3"))

    got = told(ask(front.tls("a.test", plain=proxied), "a.test"))
    direct = told(ask(front.tls("a.test"), "a.test"))

    assert got["headers"]["x-forwarded-for"] == "10.1.2.3"
    assert direct["headers"]["x-forwarded-for"] == "127.0.0.1"
    with pytest.raises((OSError, ssl.SSLError)):
        front.tls("a.test", plain=liar)
