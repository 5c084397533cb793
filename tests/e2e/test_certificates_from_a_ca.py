"""The engine of certificates and the service together: a label, Pebble as the CA, real HAProxy."""

import http.client
import json
import shutil
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from lab_pebble import DIRECTORY, HTTPS_ROOT, ROOT, LabPebble, name_in_hosts
from podman_lab import IMAGE, Lab, LabProcess, eventually

HOST = "git.example.com"
OTHER_NAME = f"www.{HOST}"
CONFIG = f"""
[haproxy]
mode = "embedded"
[entrypoints.web]
bind = ["127.0.0.1:80"]
[entrypoints.websecure]
bind = ["127.0.0.1:443"]
tls = true
[acme]
email = "ann@example.com"
terms-agreed = true
directory = "{DIRECTORY}"
ca-file = "{HTTPS_ROOT}"
self-check = 5
"""
CHALLENGES = "/.well-known/acme-challenge"
PEM = f"/var/lib/proxyctl/certs/acme/{HOST}.pem"


@pytest.fixture
def ca(lab: Lab) -> Iterator[LabPebble]:
    hosts = lab.read("/etc/hosts")
    name_in_hosts(lab, "pebble.test", HOST, OTHER_NAME)
    yield LabPebble(lab)
    lab.write("/etc/hosts", hosts)


@pytest.fixture
def service(lab: Lab, ca: LabPebble) -> LabProcess:
    return lab.start_proxyctl(CONFIG)


def publish(lab: Lab, name: str, *labels: str) -> None:
    words = [word for label in (*labels, "port=8080") for word in ("--label", f"proxyctl.{label}")]
    lab.podman("run", "-d", "--name", name, "--hostname", name, *words, IMAGE, "8080")


def curl(lab: Lab, url: str, *options: str) -> str:
    """Return the body, and on a line of its own the status and where a redirect leads."""
    told = ["-w", "\n%{http_code} %{redirect_url}"]
    command = ["curl", "-sS", "-m", "10", "--cacert", ROOT, *told, *options, url]
    return lab.run(command, check=False).stdout


def is_served(lab: Lab, url: str, by: str) -> bool:
    body, _, last = curl(lab, url).rpartition("\n")
    return last.startswith("200 ") and json.loads(body)["pod"] == by


def wanted(lab: Lab) -> dict[str, list[str]]:
    document = json.loads(lab.read("/run/proxyctl/acme/wanted.json"))
    return {one["name"]: one["hosts"] for one in document["certificates"]}


def wants(lab: Lab, *hosts: str) -> None:
    eventually(lambda: set(hosts) <= wanted(lab).keys(), FileNotFoundError)


def told(lab: Lab, *verb: str) -> dict:
    return json.loads(lab.proxyctl("--json", *verb).stdout)


def worker(lab: Lab) -> int:
    return told(lab, "status")["haproxy"]["pid"]


def serial(lab: Lab) -> str:
    """Return the serial number of what HAProxy serves."""
    ask = f"openssl s_client -connect 127.0.0.1:443 -servername {HOST} </dev/null 2>/dev/null"
    return lab.run(["sh", "-c", f"{ask} | openssl x509 -noout -serial"], check=False).stdout


def issue(lab: Lab) -> None:
    """Bring a pod from its label to its certificate."""
    publish(lab, "gitea", f"host={HOST}", f"redirect-from={OTHER_NAME}")
    wants(lab, HOST)
    done = lab.proxyctl("acme", "run")
    assert done.returncode == 0, done.stderr
    eventually(lambda: is_served(lab, f"https://{HOST}/", "gitea"))


def test_a_label_brings_a_certificate_and_the_redirect_without_a_reload(
    lab: Lab, service: LabProcess
) -> None:
    publish(lab, "gitea", f"host={HOST}", f"redirect-from={OTHER_NAME}")
    wants(lab, HOST)
    eventually(lambda: is_served(lab, f"http://{HOST}/", "gitea"))
    assert wanted(lab) == {HOST: [HOST, OTHER_NAME]}
    before = worker(lab)

    done = lab.proxyctl("acme", "run")

    assert (done.returncode, "1 certificate issued" in done.stderr) == (0, True), done.stderr
    eventually(lambda: is_served(lab, f"https://{HOST}/", "gitea"))
    eventually(lambda: curl(lab, f"http://{HOST}/a?b=c").endswith(f"\n308 https://{HOST}/a?b=c"))
    assert curl(lab, f"https://{OTHER_NAME}/x").endswith(f"\n308 https://{HOST}/x")
    assert is_served(lab, f"http://{HOST}{CHALLENGES}/of-the-pod", "gitea")
    assert worker(lab) == before
    assert not list(lab.outside("/run/proxyctl/acme/challenges").iterdir())


def stands(lab: Lab, name: str) -> dict:
    """Return what `proxyctl cert ls` tells of a certificate from the CA."""
    return next(one for one in told(lab, "cert", "ls")["wanted"] if one["name"] == name)


def test_how_it_stands_with_a_certificate_is_told_before_and_after(
    lab: Lab, service: LabProcess
) -> None:
    publish(lab, "gitea", f"host={HOST}")
    wants(lab, HOST)
    assert stands(lab, HOST)["state"] == "waiting"
    assert "acme      1 waiting" in lab.proxyctl("status").stdout

    assert lab.proxyctl("acme", "run").returncode == 0
    eventually(lambda: is_served(lab, f"https://{HOST}/", "gitea"))

    row = next(one for one in told(lab, "cert", "ls")["items"] if one["wanted"] == HOST)
    assert (row["kind"], row["served_for"], row["loaded"]) == ("acme", [HOST], True)
    assert stands(lab, HOST)["renew_at"] < row["not_after"]
    assert "acme      1 valid" in lab.proxyctl("status").stdout
    assert "renewed from 2" in lab.proxyctl("explain", "gitea").stdout
    assert "renewed from 2" in lab.proxyctl("explain", f"https://{HOST}/").stdout


class Clients:
    """Clients of HTTPS that verify: some stay connected, some shake hands for each request."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._context = ssl.create_default_context(cadata=lab.read(ROOT))
        self._ending = threading.Event()
        self.answers = 0
        self.handshakes = 0

    def _connected(self) -> ssl.SSLSocket:
        plain = self._lab.connect("127.0.0.1", 443)
        secure = self._context.wrap_socket(plain, server_hostname=HOST)
        self.handshakes += 1
        return secure

    def _ask(self, secure: ssl.SSLSocket) -> None:
        secure.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        answer = http.client.HTTPResponse(secure)
        answer.begin()
        assert (answer.status, bool(answer.read())) == (200, True)
        self.answers += 1

    def _stay(self) -> None:
        with self._connected() as secure:
            while not self._ending.wait(0.02):
                self._ask(secure)

    def _come_and_go(self) -> None:
        while not self._ending.wait(0.02):
            with self._connected() as secure:
                self._ask(secure)

    def during(self, action: Callable[[], object]) -> None:
        """Be there before, during and after an action; what fails for any client is raised."""
        with ThreadPoolExecutor() as pool:
            work = [pool.submit(one) for one in (self._stay, self._come_and_go) for _ in range(3)]
            try:
                eventually(lambda: self.handshakes > 10 or any(one.done() for one in work))
                action()
                enough = self.handshakes + 10
                eventually(lambda: self.handshakes > enough or any(one.done() for one in work))
            finally:
                self._ending.set()
        for one in work:
            one.result()


def test_a_renewal_costs_no_handshake_and_no_reload(lab: Lab, service: LabProcess) -> None:
    issue(lab)
    before, first = worker(lab), serial(lab)
    clients = Clients(lab)

    def renew() -> None:
        done = lab.proxyctl("cert", "renew", HOST)
        assert (done.returncode, "its renewal is asked for" in done.stderr) == (0, True), done
        eventually(lambda: serial(lab) != first)

    clients.during(renew)

    assert clients.answers > clients.handshakes
    assert worker(lab) == before
    assert "reload" not in told(lab, "status")["counters"]


def test_a_name_that_leads_elsewhere_is_told_and_http_goes_on(
    lab: Lab, service: LabProcess
) -> None:
    lab.podman("run", "-d", "--name", "elsewhere", IMAGE, "80")
    name_in_hosts(lab, HOST, address=lab.address("elsewhere"))
    publish(lab, "gitea", f"host={HOST}")
    wants(lab, HOST)

    assert lab.proxyctl("acme", "run").returncode == 1

    here = ("--connect-to", "::127.0.0.1:")
    for verb in (("status",), ("explain", "gitea")):
        said = lab.proxyctl(*verb).stdout
        assert f'PX606: certificate "{HOST}" is not asked for' in said, said
        assert f"let the A and AAAA records of {HOST} point here" in said
    assert stands(lab, HOST)["state"] == "failed"
    assert stands(lab, HOST)["problem"]["id"] == "PX606"
    assert "FAILED PX606" in lab.proxyctl("cert", "ls").stdout
    assert curl(lab, f"http://{HOST}/", *here).endswith("\n200 ")
    assert curl(lab, f"https://{HOST}/", "-k", *here).endswith("\n200 ")

    name_in_hosts(lab, HOST)
    assert lab.proxyctl("cert", "renew").returncode == 0
    eventually(lambda: is_served(lab, f"https://{HOST}/", "gitea"))
    assert "PX606" not in lab.proxyctl("status").stdout


def test_a_wildcard_that_cannot_be_proven_costs_the_name_beside_it_nothing(
    lab: Lab, service: LabProcess
) -> None:
    publish(lab, "gitea", f"host={HOST},*.{HOST}")
    wants(lab, HOST, f"*.{HOST}")

    assert lab.proxyctl("acme", "run").returncode == 1

    eventually(lambda: is_served(lab, f"https://{HOST}/", "gitea"))
    assert "PX612" in lab.proxyctl("status").stdout
    assert stands(lab, HOST)["state"] == "valid"


def test_a_ca_that_is_gone_costs_nothing_that_is_there(
    lab: Lab, ca: LabPebble, service: LabProcess
) -> None:
    issue(lab)
    name_in_hosts(lab, "new.example.com")
    publish(lab, "new", "host=new.example.com")
    wants(lab, "new.example.com")
    ca.stop()

    assert lab.proxyctl("acme", "run").returncode == 1

    said = lab.proxyctl("status").stdout
    assert f'PX604: CA "{DIRECTORY}" cannot be reached' in said, said
    assert "acme      1 failed, 1 valid" in said
    assert is_served(lab, f"https://{HOST}/", "gitea")
    assert is_served(lab, "http://new.example.com/", "new")


@pytest.mark.parametrize("browser", [*filter(shutil.which, ["chromium-headless-shell"])])
def test_a_browser_is_led_to_https_and_loads_the_page(
    lab: Lab, service: LabProcess, browser: str
) -> None:
    issue(lab)
    pin = f"openssl x509 -in {PEM} -noout -pubkey | openssl pkey -pubin -outform der"
    pin = lab.run(["sh", "-c", f"{pin} | openssl dgst -sha256 -binary | base64"]).stdout.strip()

    page = lab.run([
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
        "--user-data-dir=/run/browser", f"--ignore-certificate-errors-spki-list={pin}",
        f"http://{HOST}/from/a/browser",
    ])  # fmt: skip

    assert '"pod": "gitea"' in page.stdout, page.stderr
    assert '"x-forwarded-proto": "https"' in page.stdout
