"""HTTPS with real pods: at once, by a browser, redirected, passed on, with client certificates."""

import base64
import hashlib
import json
import shutil
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from podman_lab import IMAGE, Lab, LabProcess, eventually

from tests.fakes.authority import Authority

CERTS = "/etc/proxyctl/certs"
INTERNAL = "/var/lib/proxyctl/certs/internal"
CONFIG = """
[haproxy]
mode = "embedded"
[entrypoints.web]
bind = ["127.0.0.1:8080"]
[entrypoints.websecure]
bind = ["127.0.0.1:8443", "[::1]:8443"]
tls = true
[entrypoints.staff]
bind = ["127.0.0.1:9443"]
tls = true
default = false
client-ca = "staff"
[entrypoints.redis]
bind = ["127.0.0.1:6379"]
mode = "tcp"
[entrypoints.redis-tls]
bind = ["127.0.0.1:6380"]
mode = "tcp"
tls = true
"""
HOST = "git.example.com"


@pytest.fixture
def service(lab: Lab) -> LabProcess:
    return lab.start_proxyctl(CONFIG)


def publish(lab: Lab, name: str, *labels: str, options: tuple[str, ...] = (), port="8080") -> None:
    words = [word for label in (*labels, "port=" + port.partition("+")[0])
             for word in ("--label", f"proxyctl.{label}")]  # fmt: skip
    hostname = ["--hostname", name]
    lab.podman("run", "-d", "--name", name, *hostname, *words, *options, IMAGE, port)


def curl(lab: Lab, url: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the real curl; every name is this host."""
    told = ["-w", "\n%{http_code} %{http_version} %{redirect_url}"]
    here = ["--connect-to", "::127.0.0.1:", "-sS", "-m", "10"]
    return lab.run(["curl", *here, *told, *options, url], check=False)


def status(lab: Lab, url: str, *options: str) -> str:
    return curl(lab, url, *options).stdout.rpartition("\n")[2].partition(" ")[0]


def served_by(lab: Lab, url: str, *options: str) -> str:
    body, _, last = curl(lab, url, *options).stdout.rpartition("\n")
    return str(json.loads(body)["pod"]) if last.startswith("200 ") else ""


def internal(lab: Lab, host: str) -> str:
    """Return the file with the certificate that proxyctl made for a host, in the lab."""
    return f"{INTERNAL}/{host}.pem"


def reloads(lab: Lab) -> int:
    counters = json.loads(lab.proxyctl("status", "--json").stdout)["counters"]
    return int(counters.get("reload", 0)) + int(counters.get("start", 0))


def test_a_label_is_enough_for_https_from_the_first_second(lab: Lab, service: LabProcess) -> None:
    publish(lab, "gitea", f"host={HOST}")
    url = f"https://{HOST}:8443/"
    eventually(lambda: served_by(lab, url, "-k") == "gitea")

    done = curl(lab, url, "--cacert", internal(lab, HOST))
    body, _, last = done.stdout.rpartition("\n")

    assert last.split()[:2] == ["200", "2"], done.stderr
    assert json.loads(body)["headers"]["x-forwarded-proto"] == "https"
    assert status(lab, f"http://{HOST}:8080/") == "200"
    assert f"https://{HOST}:8443/" in lab.proxyctl("explain", "gitea").stdout
    table = lab.proxyctl("ls").stdout
    assert "websecure" in table


def test_a_certificate_in_the_folder_brings_the_redirect_and_no_reload(
    lab: Lab, service: LabProcess
) -> None:
    authority = Authority()
    publish(lab, "gitea", f"host={HOST}", f"redirect-from=www.{HOST}")
    publish(lab, "other", "host=other.test")
    eventually(lambda: served_by(lab, f"https://{HOST}:8443/", "-k") == "gitea")
    before = eventually(lambda: reloads(lab))

    lab.write("/etc/proxyctl/root.pem", authority.root_pem.decode())
    lab.write(f"{CERTS}/{HOST}.pem", authority.issue(HOST, f"www.{HOST}").decode())
    trust = ("--cacert", "/etc/proxyctl/root.pem")
    eventually(lambda: served_by(lab, f"https://{HOST}:8443/", *trust) == "gitea")
    eventually(lambda: status(lab, f"http://{HOST}:8080/") == "308")

    assert curl(lab, f"http://{HOST}:8080/a?b=c").stdout.endswith(f"https://{HOST}:8443/a?b=c")
    assert curl(lab, f"https://www.{HOST}:8443/x", *trust).stdout.endswith(
        f"308 2 https://{HOST}:8443/x"
    )
    assert served_by(lab, "http://other.test:8080/") == "other"
    assert reloads(lab) == before
    told = lab.proxyctl("explain", f"http://{HOST}:8080/a").stdout
    assert f"308 to https://{HOST}:8443/a" in told
    assert "REDIRECT" in lab.proxyctl("ls").stdout


def test_old_protocols_and_weak_ciphers_are_refused(lab: Lab, service: LabProcess) -> None:
    publish(lab, "gitea", f"host={HOST}")
    eventually(lambda: served_by(lab, f"https://{HOST}:8443/", "-k") == "gitea")

    def shakes_hands(*options: str) -> bool:
        client = ["openssl", "s_client", "-connect", "127.0.0.1:8443", "-servername", HOST]
        said = lab.run([*client, *options], check=False)
        return said.returncode == 0 and "Cipher is (NONE)" not in said.stdout

    weak = "@SECLEVEL=0"
    assert shakes_hands("-tls1_2")
    assert shakes_hands("-tls1_3")
    assert not shakes_hands("-tls1", "-cipher", f"ALL:{weak}")
    assert not shakes_hands("-tls1_1", "-cipher", f"ALL:{weak}")
    for cipher in ("AES128-SHA", "ECDHE-ECDSA-AES128-SHA256", "DES-CBC3-SHA", "NULL", "aNULL"):
        assert not shakes_hands("-tls1_2", "-cipher", f"{cipher}:{weak}"), cipher


@pytest.mark.parametrize("browser", [*filter(shutil.which, ["chromium-headless-shell"])])
def test_a_browser_loads_the_page(lab: Lab, service: LabProcess, browser: str) -> None:
    publish(lab, "gitea", f"host={HOST}", "redirect-https=yes", "hsts=365d")
    eventually(lambda: served_by(lab, f"https://{HOST}:8443/", "-k") == "gitea")
    made = x509.load_pem_x509_certificate(_certificate(lab.read(internal(lab, HOST))))
    public = made.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pin = base64.b64encode(hashlib.sha256(public).digest()).decode()

    page = lab.run([
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
        "--user-data-dir=/run/browser", f"--ignore-certificate-errors-spki-list={pin}",
        f"--host-resolver-rules=MAP {HOST} 127.0.0.1", f"http://{HOST}:8080/from/a/browser",
    ])  # fmt: skip

    assert '"pod": "gitea"' in page.stdout, page.stderr
    assert '"x-forwarded-proto": "https"' in page.stdout
    assert '"path": "/from/a/browser"' in page.stdout


def _certificate(pem: str) -> bytes:
    return pem[pem.index("-----BEGIN CERTIFICATE") :].encode()


def test_hsts_and_redirects_are_what_the_label_says(lab: Lab, service: LabProcess) -> None:
    publish(lab, "gitea", f"host={HOST}", "redirect-https=yes", "hsts=365d")
    publish(lab, "plain", "host=plain.test", "redirect-https=no")
    publish(lab, "off", "host=off.test", "tls=off")
    eventually(lambda: "max-age=31536000" in curl(lab, f"https://{HOST}:8443/", "-kI").stdout)

    assert status(lab, f"http://{HOST}:8080/") == "308"
    eventually(lambda: served_by(lab, "http://plain.test:8080/") == "plain")
    eventually(lambda: served_by(lab, "http://off.test:8080/") == "off")
    assert status(lab, "https://off.test:8443/", "-k") == "404"


def test_tls_of_a_pod_is_passed_on_beside_names_where_it_ends(
    lab: Lab, service: LabProcess
) -> None:
    pod_ca = Authority()
    lab.write("/etc/proxyctl/pods.pem", pod_ca.root_pem.decode())
    trust = ("--cacert", "/etc/proxyctl/pods.pem")
    publish(lab, "gitea", f"host={HOST}")
    eventually(lambda: served_by(lab, f"https://{HOST}:8443/", "-k") == "gitea")

    def passed_on(name: str) -> None:
        lab.write(f"/etc/proxyctl/{name}.pem", pod_ca.issue(f"{name}.test").decode())
        mount = ("-v", f"/etc/proxyctl/{name}.pem:/tls.pem:ro")
        labels = (f"host={name}.test", "mode=passthrough")
        publish(lab, name, *labels, options=mount, port="8200+tls")
        eventually(lambda: served_by(lab, f"https://{name}.test:8443/", *trust) == name)

    passed_on("vault")
    assert served_by(lab, f"https://{HOST}:8443/", "--cacert", internal(lab, HOST)) == "gitea"
    before = reloads(lab)
    passed_on("second")

    assert reloads(lab) == before, "a spare carries it"
    assert served_by(lab, "https://vault.test:8443/", *trust) == "vault"
    assert served_by(lab, "https://[::1]:8443/", "-k", "-H", f"Host: {HOST}") == "gitea"
    assert "passthrough" in lab.proxyctl("ls", "--json").stdout
    assert (
        "TLS, which ends in the pod" in lab.proxyctl("explain", "https://vault.test:8443").stdout
    )
    lab.podman("rm", "-f", "-t", "0", "vault", "second")
    eventually(lambda: status(lab, "https://vault.test:8443/", "-k") == "404", seconds=30)
    assert served_by(lab, f"https://{HOST}:8443/", "-k") == "gitea"


def test_clients_are_let_in_by_their_certificate(lab: Lab, service: LabProcess) -> None:
    staff, strangers = Authority(), Authority()
    publish(lab, "admin", "host=admin.test", "entrypoint=staff")
    eventually(lambda: "PX426" in lab.proxyctl("status").stdout)
    assert 9443 not in lab.listening()

    lab.write(f"{CERTS}/ca/staff.pem", f"{staff.root_pem.decode()}{_pem(staff.issuer)}")
    lab.write("/etc/proxyctl/anna.pem", staff.issue("anna").decode())
    lab.write("/etc/proxyctl/eve.pem", strangers.issue("eve").decode())
    url = "https://admin.test:9443/"
    anna, eve = (
        ("-k", "--cert", "/etc/proxyctl/anna.pem"),
        ("-k", "--cert", "/etc/proxyctl/eve.pem"),
    )
    eventually(lambda: served_by(lab, url, *anna) == "admin")

    assert status(lab, url, "-k") == "000"
    assert status(lab, url, *eve) == "000"
    lab.write(f"{CERTS}/ca/staff.pem", f"{strangers.root_pem.decode()}{_pem(strangers.issuer)}")
    eventually(lambda: served_by(lab, url, *eve) == "admin")
    assert status(lab, url, *anna) == "000"


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


@pytest.mark.parametrize("health", ["tcp", "/healthz"])
def test_a_pod_may_speak_tls_itself(lab: Lab, service: LabProcess, health: str) -> None:
    lab.write("/etc/proxyctl/inner.pem", Authority().issue("inner.test").decode())
    mount = ("-v", "/etc/proxyctl/inner.pem:/tls.pem:ro")
    labels = ("host=inner.test", "scheme=https", f"health={health}")
    publish(lab, "inner", *labels, options=mount, port="8443+tls")

    eventually(lambda: served_by(lab, "http://inner.test:8080/") == "inner")
    eventually(lambda: "UP" in lab.proxyctl("ls").stdout)


def redis(lab: Lab, *labels: str) -> None:
    """Start a real Redis in a container of its own, made of the host's files."""
    server = shutil.which("redis-server")
    script = f"""
        root=/run/lab/redis; mkdir -p $root
        for file in {server} $(ldd {server} | grep -oE '/[^ :]+'); do
            install -p -D "$file" "$root$file"
        done
        tar -C $root -c . | podman import --quiet --change 'ENTRYPOINT ["{server}"]' - redis"""
    lab.run(["sh", "-c", script])
    words = [word for label in labels for word in ("--label", f"proxyctl.{label}")]
    options = ("--protected-mode", "no", "--save", "")
    lab.podman("run", "-d", "--name", "redis", *words, "localhost/redis", *options)


def test_redis_by_its_own_client_through_tcp_entrypoints(lab: Lab, service: LabProcess) -> None:
    redis(lab, "mode=tcp", "entrypoint=redis,redis-tls", "port=6379")
    client = ["redis-cli", "-h", "127.0.0.1"]
    eventually(lambda: lab.run([*client, "PING"], check=False).stdout == "PONG\n")
    secure = [*client, "-p", "6380", "--tls", "--insecure"]

    assert lab.run([*client, "SET", "greeting", "hello"]).stdout == "OK\n"
    assert lab.run([*secure, "GET", "greeting"]).stdout == "hello\n"
    assert "tcp://127.0.0.1:6379" in lab.proxyctl("explain", "redis").stdout
    assert "tls://127.0.0.1:6380" in lab.proxyctl("explain", "redis").stdout
