"""Certificates in a real HAProxy: what is loaded can be asked, and changes without a reload."""

import hashlib
import socket
import ssl
import threading

import pytest
from real_haproxy import Lab, free_ports, lab

from proxyctl.haproxy.files import write
from proxyctl.plan.steps import Plan, PutCertificate, RemoveCertificate, ServeCertificate
from proxyctl.problems import CommandRejected
from proxyctl.state.certificates import DEFAULT
from proxyctl.state.model import Certificate, RunningCertificate
from proxyctl.state.pem import pairs
from proxyctl.state.render import crt_list
from tests.fakes.authority import Authority

pytestmark = pytest.mark.contract

FRONTEND = """
frontend tls
    bind 127.0.0.1:{tls} ssl crt-list {folder}/certs/crt-list alpn h2,http/1.1
    http-request return status 200
"""


class TlsLab(Lab):
    """The lab with a port for TLS, and certificates of an authority."""

    def __init__(self, folder):
        super().__init__(folder)
        (self.ports["tls"],) = free_ports(1)
        self.authority = Authority()
        self.pems: dict[str, str] = {}

    def certificate(self, name, *hosts, key_type="ecdsa", serve=None, chain=True):
        (pair,) = pairs({name: self.authority.issue(*hosts, key_type=key_type, chain=chain)})
        one = Certificate(
            name=name,
            hosts=hosts if serve is None else serve,
            fingerprint=pair.fingerprint,
            not_after=pair.not_after,
            source="test",
            chain=pair.chain,
        )
        self.pems[one.file] = pair.pem
        return one

    def begin(self, *certificates):
        texts = self.texts(FRONTEND.format(folder=self.layout.folder, tls=self.ports["tls"]))
        texts |= {one.file: self.pems[one.file] for one in certificates}
        texts["certs/crt-list"] = crt_list(certificates, str(self.layout.folder))
        write(self.layout, texts, texts)
        self.process.start()

    def do(self, *steps):
        self.proxy.apply(Plan(steps, dict(self.pems)))

    def loaded(self, name):
        return self.proxy.observe().certificates.get(name)

    def served(self, host, ciphers=""):
        """Return the fingerprint of what a client gets that asks for *host*."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if ciphers:
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.set_ciphers(ciphers)
        address = ("127.0.0.1", self.ports["tls"])
        with (
            socket.create_connection(address, 5) as raw,
            context.wrap_socket(raw, server_hostname=host) as connection,
        ):
            return hashlib.sha1(connection.getpeercert(binary_form=True)).hexdigest().upper()


@pytest.fixture
def haproxy(tmp_path):
    one = TlsLab(tmp_path)
    yield one
    one.process.stop()


def test_what_is_loaded_is_told_by_fingerprint_chain_and_names(haproxy):
    default = haproxy.certificate(DEFAULT, "none.invalid", serve=())
    a = haproxy.certificate("a", "a.test", "www.a.test")
    haproxy.begin(default, a)

    assert haproxy.loaded("a") == RunningCertificate(
        fingerprint=a.fingerprint, hosts=("a.test", "www.a.test"), chain=1
    )
    assert haproxy.loaded(DEFAULT).hosts == ()
    assert haproxy.served("a.test") == a.fingerprint
    assert haproxy.served("nobody.test") == haproxy.served(None) == default.fingerprint


def test_one_that_haproxy_tells_little_about_is_known_by_its_number(haproxy):
    """Of an Ed25519 key it knows no name, and tells nothing more: 2.6 to 3.4."""
    default = haproxy.certificate(DEFAULT, "none.invalid", serve=())
    odd = haproxy.certificate("odd", "odd.test", key_type="other")
    haproxy.begin(default, odd)
    renewed = haproxy.certificate("odd", "odd.test", key_type="other")

    assert haproxy.loaded("odd").fingerprint == odd.fingerprint
    assert renewed.fingerprint != odd.fingerprint
    haproxy.do(PutCertificate(renewed))
    assert haproxy.loaded("odd").fingerprint == renewed.fingerprint
    assert haproxy.loaded("odd").chain == renewed.chain


def test_without_a_crt_list_there_is_nothing_to_say_about_certificates(tmp_path):
    with lab(tmp_path) as one:
        one.start()

        assert one.proxy.observe().certificates is None


def test_certificates_come_change_their_names_and_go_at_run_time(haproxy):
    default = haproxy.certificate(DEFAULT, "none.invalid", serve=())
    haproxy.begin(default)
    pid = haproxy.proxy.observe().pid
    new = haproxy.certificate("acme@b", "b.test", "*.b.test", serve=("b.test",))

    haproxy.do(PutCertificate(new), ServeCertificate(new.file, new.hosts))
    assert haproxy.served("b.test") == new.fingerprint
    assert haproxy.served("x.b.test") == default.fingerprint

    haproxy.do(ServeCertificate(new.file, ("*.b.test", "b.test")))
    assert haproxy.loaded("acme@b").hosts == ("*.b.test", "b.test")
    assert haproxy.served("x.b.test") == haproxy.served("b.test") == new.fingerprint

    haproxy.do(RemoveCertificate(new.file))
    assert haproxy.loaded("acme@b") is None
    assert haproxy.served("b.test") == default.fingerprint
    assert haproxy.proxy.observe().pid == pid


def test_every_step_may_be_done_twice(haproxy):
    default = haproxy.certificate(DEFAULT, "none.invalid", serve=())
    haproxy.begin(default)
    a = haproxy.certificate("a", "a.test")
    steps = (PutCertificate(a), ServeCertificate(a.file, a.hosts))

    haproxy.do(*steps, *steps)
    assert haproxy.loaded("a").hosts == ("a.test",)

    haproxy.do(RemoveCertificate(a.file), RemoveCertificate(a.file))
    assert haproxy.loaded("a") is None


def test_rsa_and_ecdsa_for_one_name_are_chosen_by_what_the_client_can(haproxy):
    default = haproxy.certificate(DEFAULT, "none.invalid", serve=())
    haproxy.begin(default)
    ecdsa = haproxy.certificate("a.ecdsa", "a.test")
    rsa = haproxy.certificate("a.rsa", "a.test", key_type="rsa")

    for one in (ecdsa, rsa):
        haproxy.do(PutCertificate(one), ServeCertificate(one.file, one.hosts))

    assert haproxy.served("a.test", "ECDHE-ECDSA-AES128-GCM-SHA256") == ecdsa.fingerprint
    assert haproxy.served("a.test", "ECDHE-RSA-AES128-GCM-SHA256") == rsa.fingerprint


def test_a_refused_certificate_leaves_the_old_one_and_no_transaction(haproxy):
    a = haproxy.certificate("a", "a.test")
    haproxy.begin(haproxy.certificate(DEFAULT, "none.invalid", serve=()), a)
    other = haproxy.certificate("b", "b.test")
    key, leaf = haproxy.pems[a.file], haproxy.pems[other.file]
    cut = "-----END PRIVATE KEY-----\n"
    haproxy.pems[a.file] = key.split(cut)[0] + cut + leaf.split(cut)[1]

    with pytest.raises(CommandRejected, match="PutCertificate: commit ssl cert") as refused:
        haproxy.do(PutCertificate(a))

    assert "KEY" not in str(refused.value)
    assert haproxy.served("a.test") == a.fingerprint
    haproxy.do(PutCertificate(other), ServeCertificate(other.file, other.hosts))
    assert haproxy.served("b.test") == other.fingerprint


def test_a_new_certificate_that_is_refused_leaves_nothing(haproxy):
    haproxy.begin(haproxy.certificate(DEFAULT, "none.invalid", serve=()))
    a = haproxy.certificate("a", "a.test")
    haproxy.pems[a.file] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"

    with pytest.raises(CommandRejected, match="set ssl cert"):
        haproxy.do(PutCertificate(a))

    assert haproxy.loaded("a") is None


def test_a_transaction_that_a_killed_one_left_is_ended(haproxy):
    """On 2.6 the next `set ssl cert` would be written into it."""
    a, b = (haproxy.certificate(name, f"{name}.test") for name in "ab")
    haproxy.begin(haproxy.certificate(DEFAULT, "none.invalid", serve=()), a, b)
    left = f"{haproxy.layout.folder}/{a.file}"
    with haproxy.proxy._talk() as talk:
        talk.ask(f"set ssl cert {left} <<\n{haproxy.pems[b.file]}")
    renewed = haproxy.certificate("b", "b.test")

    haproxy.do(PutCertificate(renewed))

    assert haproxy.loaded("b").fingerprint == haproxy.served("b.test") == renewed.fingerprint
    assert haproxy.loaded("a").fingerprint == haproxy.served("a.test") == a.fingerprint


def test_handshakes_do_not_fail_while_certificates_are_renewed(haproxy):
    a = haproxy.certificate("a", "a.test")
    haproxy.begin(haproxy.certificate(DEFAULT, "none.invalid", serve=()), a)
    seen, failed, stop = [], [], threading.Event()

    def client():
        while not stop.is_set():
            try:
                seen.append(haproxy.served("a.test"))
            except OSError as error:
                failed.append(error)

    clients = [threading.Thread(target=client) for _ in range(4)]
    for one in clients:
        one.start()
    good = {a.fingerprint}
    for round_ in range(30):
        renewed = haproxy.certificate("a", "a.test")
        hosts = ("*.a.test", "a.test") if round_ % 2 else ("a.test",)
        good.add(renewed.fingerprint)
        haproxy.do(PutCertificate(renewed), ServeCertificate(renewed.file, hosts))
    stop.set()
    for one in clients:
        one.join()

    assert not failed
    assert set(seen) <= good
    assert haproxy.served("a.test") == renewed.fingerprint
