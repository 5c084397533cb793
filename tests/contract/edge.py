"""Our entrypoints in a real HAProxy, servers behind them, and clients that look closely."""

import csv
import http.client
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from real_haproxy import BINARY, eventually, free_ports

from proxyctl.haproxy.files import Layout
from proxyctl.haproxy.process import EmbeddedProcess
from proxyctl.haproxy.proxy import HAProxy
from proxyctl.haproxy.socket import RuntimeSocket
from proxyctl.routes.workload import Kind
from proxyctl.state.certificates import Stock
from proxyctl.state.model import Quic
from proxyctl.state.pem import certificates
from tests.fakes.keyring import NOW, FakeKeyring
from tests.fakes.web_server import WebServer
from tests.pipeline import decided, pod

PORTS = ("web", "websecure", "admin", "tcp")
CONFIG = """
[haproxy]
mode = "embedded"
[entrypoints.web]
bind = ["127.0.0.1:{web}"]
trusted-proxies = ["127.0.0.2"]
[entrypoints.websecure]
bind = ["127.0.0.1:{websecure}"]
tls = true
{more}
[entrypoints.admin]
bind = ["127.0.0.1:{admin}"]
tls = true
default = false
client-ca = "staff"
[entrypoints.tcp]
bind = ["127.0.0.1:{tcp}"]
mode = "tcp"
"""


class Told(BaseHTTPRequestHandler):
    """Answers with its server's name and with the headers that arrived."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.asked.set()
        self.server.gate.wait(20)
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = json.dumps({"pod": self.server.name, "headers": headers}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Server(WebServer):
    """A pod's server; one with a certificate ends TLS itself."""

    def __init__(self, name: str, certificate: Path | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Told)
        self.name = name
        self.asked = threading.Event()
        self.gate = threading.Event()
        """Requests wait until it is open, as it is at first."""
        self.gate.set()
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )


def certificate(folder: Path, name: str, *names: str) -> Path:
    """Return a self-signed certificate with its key, in one file."""
    file = folder / f"{name}.pem"
    key = folder / f"{name}.key"
    names = names or (name,)
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 9"
    more = ["-subj", f"/CN={name}", "-keyout", str(key), "-out", str(file)]
    alternatives = ",".join(f"DNS:{one}" for one in names)
    subprocess.run(
        [*command.split(), *more, "-addext", f"subjectAltName={alternatives}"],
        check=True,
        capture_output=True,
    )
    file.write_text(file.read_text() + key.read_text())
    return file


class Edge:
    """A HAProxy with our entrypoints; `serve` says what it publishes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        here = folder / "haproxy"
        self.layout = Layout(here, folder / "master.sock")
        self.process = EmbeddedProcess(self.layout, binary=BINARY)
        self.proxy = HAProxy(self.layout, binary=BINARY, process=self.process)
        here.mkdir(parents=True)
        self.staff = certificate(folder, "staff")
        self.stranger = certificate(folder, "stranger")
        staff = certificates("staff.pem", self.staff.read_bytes())
        self.keyring = FakeKeyring(Stock(time=NOW, authorities=(("staff", staff),)))
        self.servers: list[Server] = []

    def pod(self, name: str, *, certificate: Path | None = None, **labels: str):
        """Return a workload that a server of ours stands for."""
        server = Server(name, certificate)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.servers.append(server)
        where = f"127.0.0.1:{server.server_address[1]}"
        return pod(name, kind=Kind.STATIC, servers=(where,), labels=labels)

    def text(self, more: str = "") -> str:
        """Return the settings, with more of the entrypoint `websecure`."""
        return CONFIG.format(more=more, **self.ports)

    def decided(self, *workloads, more: str = "", quic: Quic | None = None):
        """Return what HAProxy is to be: with HTTP/3, if it can."""
        quic = self.proxy.quic() if quic is None else quic
        folder = str(self.layout.folder)
        return decided(
            *workloads, text=self.text(more), folder=folder, keyring=self.keyring, quic=quic
        )

    def serve(self, *workloads, more: str = "", quic: Quic | None = None) -> None:
        """Start HAProxy, or reload it, with what is published."""
        self.files(self.decided(*workloads, more=more, quic=quic).rendered.texts)
        if self.process.alive():
            before = self.proxy.pulse()
            self.process_reload()
            assert eventually(lambda: self.proxy.pulse() not in {0, before})
        else:
            self.process.start()

    def files(self, texts) -> None:
        for name, text in texts.items():
            (self.layout.folder / name).parent.mkdir(exist_ok=True)
            (self.layout.folder / name).write_text(text)

    def process_reload(self) -> None:
        subprocess.run(["kill", "-USR2", str(self.process.pid)], check=True)

    def stop(self) -> None:
        self.process.stop()
        for server in self.servers:
            server.shutdown()
            server.server_close()

    def check_of(self, name: str) -> str:
        """Return what came of the last health check of a pod: `L7OK`, or `* L7OK` meanwhile."""
        (table,) = RuntimeSocket(self.layout.master_socket).ask(["show stat"])
        every = csv.DictReader(table.removeprefix("# ").splitlines())
        rows = (row for row in every if row["pxname"] == name and row["svname"] == f"{name}.1")
        return next(rows)["check_status"].removeprefix("* ")

    def connect(self, entrypoint: str, source: str = "127.0.0.1") -> socket.socket:
        where = ("127.0.0.1", self.ports[entrypoint])
        return socket.create_connection(where, timeout=10, source_address=(source, 0))

    def tls(self, name: str, entrypoint: str = "websecure", **more) -> ssl.SSLSocket:
        """Return a connection with TLS for a name; nothing of the certificate is verified."""
        context = more.pop("context", None) or lenient()
        plain = more.pop("plain", None) or self.connect(entrypoint)
        return context.wrap_socket(plain, server_hostname=name or None)


def lenient(client: Path | None = None) -> ssl.SSLContext:
    """Return a client's side that takes any certificate, and may show one of its own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if client:
        context.load_cert_chain(client)
    return context


def ask(over: socket.socket, host: str, path: str = "/", headers: dict[str, str] | None = None):
    """Return the answer to a request over a connection, with its body read."""
    connection = http.client.HTTPConnection(host)
    connection.sock = over
    connection.request("GET", path, headers={"Host": host, **(headers or {})})
    response = connection.getresponse()
    response.text = response.read().decode()
    return response


@contextmanager
def edge(folder: Path) -> Iterator[Edge]:
    one = Edge(folder)
    try:
        yield one
    finally:
        one.stop()
