"""HTTPS from the first second, then from the folder, without a reload: real pods and HAProxy."""

import json
import signal
import ssl
import threading

import pytest
from podman_lab import Lab, LabProcess, eventually

from tests.fakes.authority import Authority

CONFIG = """
[haproxy]
mode = "embedded"
[entrypoints.web]
bind = ["127.0.0.1:8080"]
[entrypoints.websecure]
bind = ["127.0.0.1:8443"]
tls = true
"""
CERTS = "/etc/proxyctl/certs"


@pytest.fixture
def service(lab: Lab) -> LabProcess:
    lab.run(["mkdir", "-p", CERTS])
    return lab.start_proxyctl(CONFIG)


def put(lab: Lab, name: str, pem: bytes) -> None:
    """Bring a file to its place whole, for nobody else to read."""
    lab.write(f"{CERTS}/.{name}", pem.decode())
    lab.run(["chmod", "600", f"{CERTS}/.{name}"])
    lab.run(["mv", f"{CERTS}/.{name}", f"{CERTS}/{name}"])


def trusting(root: bytes) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=root.decode())
    context.set_alpn_protocols(["http/1.1"])
    return context


def anybody() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def get(lab: Lab, host: str, context: ssl.SSLContext) -> tuple[str, bytes]:
    """Return the status line's answer of a request by TLS, and the certificate that was seen."""
    with lab.connect("127.0.0.1", 8443) as raw:
        raw.settimeout(10)
        with context.wrap_socket(raw, server_hostname=host) as connection:
            connection.sendall(f"GET / HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
            return answer.decode(), connection.getpeercert(binary_form=True) or b""


def reloads(lab: Lab) -> int:
    counters = json.loads(lab.proxyctl("--json", "status").stdout)["counters"]
    return int(counters.get("reload", 0))


def publish(lab: Lab, name: str, host: str) -> None:
    lab.pod(name, "--label", f"proxyctl.host={host}", "--label", "proxyctl.port=8080")


def test_a_pod_has_https_at_once_and_a_trusted_one_from_the_folder(
    lab: Lab, service: LabProcess
) -> None:
    authority = Authority()
    trusted = trusting(authority.root_pem)
    publish(lab, "git", "git.test")

    assert '"pod": "git"' in eventually(
        lambda: ("200 OK" in (text := get(lab, "git.test", anybody())[0])) and text, OSError
    )
    with pytest.raises(ssl.SSLCertVerificationError):
        get(lab, "git.test", trusted)
    before = reloads(lab)
    put(lab, "git.test.pem", authority.issue("git.test", "*.git.test"))

    answer, first = eventually(lambda: get(lab, "git.test", trusted), OSError)
    assert "200 OK" in answer
    put(lab, "git.test.pem", authority.issue("git.test", "*.git.test"))
    eventually(lambda: get(lab, "git.test", trusted)[1] != first, OSError)
    publish(lab, "sub", "sub.git.test")
    eventually(lambda: "200 OK" in get(lab, "sub.git.test", trusted)[0], OSError)

    assert reloads(lab) == before
    assert "404 Not Found" in get(lab, "nobody.test", anybody())[0]


def test_renewal_under_load_loses_no_handshake_and_a_broken_file_nothing(
    lab: Lab, service: LabProcess
) -> None:
    authority = Authority()
    trusted = trusting(authority.root_pem)
    put(lab, "git.test.pem", authority.issue("git.test"))
    publish(lab, "git", "git.test")
    eventually(lambda: "200 OK" in get(lab, "git.test", trusted)[0], OSError)
    failed: list[object] = []
    seen: set[bytes] = set()
    stop = threading.Event()

    def client() -> None:
        while not stop.is_set():
            try:
                answer, certificate = get(lab, "git.test", trusted)
            except OSError as error:
                failed.append(error)
            else:
                seen.add(certificate)
                if "200 OK" not in answer:
                    failed.append(answer)

    clients = [threading.Thread(target=client) for _ in range(3)]
    for one in clients:
        one.start()
    try:
        for _ in range(5):
            known = len(seen)
            put(lab, "git.test.pem", authority.issue("git.test"))
            eventually(lambda known=known: len(seen) > known)  # type: ignore[misc]
        put(lab, "git.test.pem", authority.issue("git.test")[:500])
        eventually(lambda: "PX421" in lab.proxyctl("status").stdout)
    finally:
        stop.set()
        for one in clients:
            one.join()

    assert not failed
    assert "200 OK" in get(lab, "git.test", trusted)[0]


def test_keys_are_nobody_elses_and_in_nothing_that_is_shown(lab: Lab, service: LabProcess) -> None:
    pem = Authority().issue("git.test")
    put(lab, "git.test.pem", pem)
    publish(lab, "git", "git.test")
    eventually(lambda: "200 OK" in get(lab, "git.test", anybody())[0], OSError)
    eventually(lambda: lab.proxyctl("diff").returncode == 0)

    find = "find /run/proxyctl /var/lib/proxyctl -name '*.pem'"
    assert lab.run(["sh", "-c", find]).stdout
    assert lab.run(["sh", "-c", f"{find} -perm /077"]).stdout == ""
    secret = pem.decode().splitlines()[1]
    for verb in (["render"], ["status"], ["diff"], ["events"], ["ls"], ["explain", "git"]):
        for flags in ([], ["--json"]):
            assert secret not in lab.proxyctl(*flags, *verb).stdout
    assert secret not in service.text()


def test_after_a_restart_haproxy_and_the_service_have_what_they_had(
    lab: Lab, service: LabProcess
) -> None:
    authority = Authority()
    trusted = trusting(authority.root_pem)
    put(lab, "git.test.pem", authority.issue("git.test"))
    publish(lab, "git", "git.test")
    _, certificate = eventually(lambda: get(lab, "git.test", trusted), OSError)
    put(lab, "git.test.pem", b"broken")
    eventually(lambda: "PX421" in lab.proxyctl("status").stdout)
    service.signal(signal.SIGKILL)
    service.wait()
    lab.run(["sh", "-c", "kill -9 $(cat /run/proxyctl/haproxy/haproxy.pid)"])

    lab.start_proxyctl(CONFIG)

    eventually(lambda: get(lab, "git.test", trusted)[1] == certificate, OSError)


def test_a_cas_question_is_answered_and_every_other_path_is_the_pods(
    lab: Lab, service: LabProcess
) -> None:
    publish(lab, "git", "git.test")
    folder, web = "/.well-known/acme-challenge", "http://127.0.0.1:8080"
    eventually(lambda: lab.curl(f"{web}{folder}/tok-1", host="git.test").status == 200, OSError)
    before = reloads(lab)

    lab.write("/run/proxyctl/acme/challenges/tok-1", "tok-1.thumb_print")

    eventually(
        lambda: lab.curl(f"{web}{folder}/tok-1", host="git.test").body == "tok-1.thumb_print"
    )
    assert lab.curl(f"{web}{folder}/tok-1", host="other.test").body == "tok-1.thumb_print"
    for path in (f"{folder}/tok-2", f"{folder}/tok-1/x", folder, "/tok-1"):
        assert lab.curl(web + path, host="git.test").json()["path"] == path
    lab.run(["rm", "/run/proxyctl/acme/challenges/tok-1"])
    eventually(lambda: '"pod"' in lab.curl(f"{web}{folder}/tok-1", host="git.test").body)
    assert reloads(lab) == before
