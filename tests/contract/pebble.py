"""A real Pebble (the ACME test server) with its DNS, on 127.0.0.1, and a host that uses it.

The host is folders, a config.toml, and an HTTP server in HAProxy's place that shows the tokens.
"""

import json
import os
import shutil
import ssl
import subprocess
import sys
import threading
import urllib.request
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from real_haproxy import eventually, free_ports

from tests.fakes.web_server import WebServer

PROXYCTL = Path(sys.executable).with_name("proxyctl")
EAB = {"kid-1": "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"}

HOOK = """\
#!{python}
import json, sys, urllib.request
verb, fqdn, value = sys.argv[1:]
path = {{"present": "set-txt", "cleanup": "clear-txt"}}[verb]
body = json.dumps({{"host": fqdn, "value": value}}).encode()
urllib.request.urlopen("http://127.0.0.1:{port}/" + path, data=body, timeout=5)
open("{log}", "a").write(verb + " " + fqdn + "\\n")
"""


def self_signed(folder: Path) -> None:
    """Write cert.pem and key.pem for 127.0.0.1, which is its own root."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "pebble of a test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


class Pebble:
    """The CA and its DNS, as processes."""

    def __init__(self, folder: Path, *, eab: bool, **environment: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self_signed(folder)
        ports = free_ports(5)
        self.acme_port, self.management, self.http_port, self.dns, self.dns_management = ports
        self.directory = f"https://127.0.0.1:{self.acme_port}/dir"
        config = {
            "listenAddress": f"127.0.0.1:{self.acme_port}",
            "managementListenAddress": f"127.0.0.1:{self.management}",
            "certificate": str(folder / "cert.pem"),
            "privateKey": str(folder / "key.pem"),
            "httpPort": self.http_port,
            "tlsPort": 1,
            "externalAccountBindingRequired": eab,
            "externalAccountMACKeys": EAB if eab else {},
        }
        (folder / "pebble.json").write_text(json.dumps({"pebble": config}))
        self._environment = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0", **environment}
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        if not shutil.which("pebble-challtestsrv"):
            pytest.fail("pebble is missing: `make install` as root installs it (package pebble)")
        dns = ["pebble-challtestsrv", "-http01", "", "-https01", "", "-tlsalpn01", ""]
        dns += ["-dns01", f"127.0.0.1:{self.dns}", "-defaultIPv6", ""]
        dns += ["-management", f"127.0.0.1:{self.dns_management}"]
        ca = ["pebble", "-config", str(self.folder / "pebble.json")]
        ca += ["-dnsserver", f"127.0.0.1:{self.dns}"]
        for command in (dns, ca):
            with (self.folder / f"{command[0]}.log").open("wb") as log:
                self._processes.append(
                    subprocess.Popen(
                        command,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        env={**os.environ, **self._environment},
                    )
                )
        assert eventually(self._answers, 15), (self.folder / "pebble.log").read_text()

    def _answers(self) -> bool:
        with suppress(OSError):
            return bool(self.get("roots/0"))
        return False

    def stop(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()

    def get(self, path: str, port: int = 0) -> bytes:
        context = ssl.create_default_context(cafile=self.folder / "cert.pem")
        url = f"https://127.0.0.1:{port or self.management}/{path}"
        with urllib.request.urlopen(url, context=context, timeout=5) as answer:
            return answer.read()

    def status(self, serial: str) -> str:
        return json.loads(self.get(f"cert-status-by-serial/{serial}"))["Status"]

    def log(self) -> str:
        return (self.folder / "pebble.log").read_text(errors="replace")


@contextmanager
def pebble(folder: Path, *, eab: bool = False, **environment: str) -> Iterator[Pebble]:
    one = Pebble(folder, eab=eab, **environment)
    try:
        one.start()
        yield one
    finally:
        one.stop()


class Answerer(BaseHTTPRequestHandler):
    """HAProxy's part: shows the files of the folder of challenges."""

    def do_GET(self) -> None:
        token = self.path.removeprefix("/.well-known/acme-challenge/")
        file = self.server.folder / token
        found = "/" not in token and file.is_file()
        body = (self.server.lie or file.read_bytes()) if found else b"no such token"
        self.server.asked.append(self.headers["User-Agent"] or "")
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Front(BaseHTTPRequestHandler):
    """A CA's directory that is Pebble's but for what a test changes in it."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path == "/dir":
            directory = json.loads(self.server.pebble.get("dir", self.server.pebble.acme_port))
            self._say(200, {**directory, **self.server.changes})
        else:
            self._say(200, self.server.answer)

    def do_POST(self) -> None:
        signed = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.payloads.append(b64decode(signed["payload"] + "==", b"-_"))
        self.server.asked.append(self.path)
        self._say(*self.server.refusal)

    def _say(self, status: int, body: object, **headers: str) -> None:
        data = json.dumps(body).encode()
        self.send_response_only(status)
        headers = {"Content-Type": "application/json", **self.server.headers, **headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], port: int = 0, **attributes: object):
    """Run an HTTP server whose handler sees *attributes* as its server's."""
    server = WebServer(("127.0.0.1", port), handler)
    server.asked = []
    for name, value in attributes.items():
        setattr(server, name, value)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def front(ca: Pebble):
    attributes = {"changes": {}, "answer": {}, "headers": {}, "refusal": (500, {}), "payloads": []}
    with serving(Front, pebble=ca, **attributes) as one:
        one.url = f"http://127.0.0.1:{one.server_port}"
        yield one


class Host:
    """A host that wants certificates: `proxyctl acme` with its folders."""

    def __init__(self, folder: Path, ca: Pebble) -> None:
        self.folder = folder
        self.ca = ca
        self.run_folder = folder / "run/proxyctl"
        self.state = folder / "state/proxyctl"
        self.challenges = self.run_folder / "acme/challenges"
        self.hook_log = folder / "hook.log"
        self.settings: dict[str, object] = {
            "directory": ca.directory,
            "email": "ann@example.com",
            "terms-agreed": True,
            "ca-file": str(ca.folder / "cert.pem"),
            "check-address": f"127.0.0.1:{ca.http_port}",
            "self-check": 2,
        }
        self.write_settings()

    def write_settings(self, **changes: object) -> None:
        self.settings |= {name.replace("_", "-"): value for name, value in changes.items()}
        lines = [f"{name} = {json.dumps(value)}" for name, value in self.settings.items()]
        text = '[haproxy]\nmode = "embedded"\n[acme]\n' + "\n".join(lines) + "\n"
        (self.folder / "config.toml").write_text(text)

    def write_hook(self, text: str = HOOK) -> None:
        file = self.folder / "hook"
        port = self.ca.dns_management
        file.write_text(text.format(python=sys.executable, port=port, log=self.hook_log))
        file.chmod(0o755)
        self.write_settings(hook=str(file), hook_wait=0)

    def want(self, *certificates: tuple[str, ...]) -> None:
        """Say which certificates are wanted: the hosts of each; the first is its name."""
        entries = [
            {"name": hosts[0], "hosts": hosts, "route": 'pod "p"'} for hosts in certificates
        ]
        file = self.run_folder / "acme/wanted.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"version": 1, "certificates": entries}))

    def command(self, *arguments: str) -> list[str]:
        return [str(PROXYCTL), "-c", str(self.folder / "config.toml"), "acme", *arguments]

    @property
    def environment(self) -> dict[str, str]:
        folders = {"XDG_RUNTIME_DIR": self.folder / "run", "XDG_STATE_HOME": self.folder / "state"}
        return {**os.environ, **{name: str(path) for name, path in folders.items()}}

    def acme(self, *arguments: str) -> tuple[int, str]:
        """Run a verb of `proxyctl acme`; return its exit code and what it said."""
        done = subprocess.run(
            self.command(*arguments or ("run",)),
            env=self.environment,
            check=False,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=100,
        )
        assert "Traceback" not in done.stdout, done.stdout
        return done.returncode, done.stdout

    def begin(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command("run"),
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def pem(self, name: str = "git.example.com") -> Path:
        return self.state / "certs/acme" / f"{name}.pem"

    def leaf(self, name: str = "git.example.com") -> x509.Certificate:
        return x509.load_pem_x509_certificates(self.pem(name).read_bytes())[0]

    def serial(self, name: str = "git.example.com") -> str:
        return f"{self.leaf(name).serial_number:x}"

    def has(self, pattern: str) -> bool:
        """Tell whether there is such a file in the folder of state, or TOKEN in that of tokens."""
        places = self.challenges.glob("*") if pattern == "TOKEN" else self.state.glob(pattern)
        return any(True for _ in places)

    def status(self, name: str = "git.example.com") -> dict[str, object]:
        document = json.loads((self.state / "acme/status.json").read_text())
        return next(item for item in document["certificates"] if item["name"] == name)

    def problem(self, name: str = "git.example.com") -> str:
        """Return the number of what is wrong with a certificate, "" if nothing is."""
        error = self.status(name)["last_error"]
        return error["id"] if error else ""

    def account_folder(self) -> Path:
        return next((self.state / "acme/accounts").iterdir())

    def verified(self, hosts: tuple[str, ...], name: str = "git.example.com") -> None:
        """A client that trusts the root of Pebble has to like the file, for each host."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.pem(name))
        client = ssl.create_default_context(cadata=self.ca.get("roots/0").decode())
        for host in hosts:
            shake_hands(context, client, host)


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, host: str) -> None:
    """Do a TLS handshake in memory. Raises ssl.SSLError where the client refuses."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(down, up, server_hostname=host),
        server.wrap_bio(up, down, server_side=True),
    ]
    for _ in range(4):
        for end in ends:
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
    ends[0].getpeercert()


@contextmanager
def answering(host: Host, lie: bytes = b""):
    with serving(Answerer, host.ca.http_port, folder=host.challenges, lie=lie) as one:
        yield one


__all__ = ["Host", "answering", "eventually", "front", "pebble"]
