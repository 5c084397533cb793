"""A real HAProxy for the contract tests: on 127.0.0.1, on free ports, in a folder of its own.

PROXYCTL_TEST_HAPROXY=/path/to/haproxy chooses another binary.
"""

import http.client
import os
import random
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from proxyctl.haproxy.files import Layout, write
from proxyctl.haproxy.process import EmbeddedProcess
from proxyctl.haproxy.proxy import HAProxy
from proxyctl.plan.steps import Plan, Reload, Step, WriteFiles
from proxyctl.state.model import RunningServer
from proxyctl.state.render import SECTIONS_MAP, parse_sections

BINARY = os.environ.get("PROXYCTL_TEST_HAPROXY", "haproxy")

CONFIG = """\
global
    hard-stop-after 3s
    server-state-file {folder}/server-state
    stats socket {folder}/worker.sock mode 600 level admin

defaults
    mode http
    timeout connect 500ms
    timeout client 10s
    timeout server 10s
    load-server-state-from-file global
    option idle-close-on-response

frontend web
    bind 127.0.0.1:{port}
    http-request set-var(txn.route) req.fhdr(host),lower,map_str({folder}/maps/web.map)
    http-request return status 404 if !{{ var(txn.route) -m found }}
    use_backend %[var(txn.route)]

frontend one
    bind 127.0.0.1:{one}
    http-request return status 200 content-type text/plain string one

frontend two
    bind 127.0.0.1:{two}
    bind [::1]:{two}
    http-request return status 200 content-type text/plain string two

backend gitea
    balance random
    server one 127.0.0.1:{one}

backend sticky
    cookie PX insert indirect nocache dynamic
    dynamic-cookie-key secret

backend loaded
    http-request set-var(txn.loaded) be_name,map_str({folder}/maps/sections.map)
"""


def free_ports(number: int) -> list[int]:
    """Return different ports that nobody has, below those that the system gives to clients."""
    with ExitStack() as held:
        found: list[int] = []
        while len(found) < number:
            probe = held.enter_context(socket.socket())
            of_udp = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            with suppress(OSError):
                port = random.randint(20_000, 30_000)
                probe.bind(("127.0.0.1", port))
                of_udp.bind(("127.0.0.1", port))
                found.append(port)
        return found


class Lab:
    """A folder, ports, a process and the HAProxy that is tested."""

    def __init__(self, folder: Path) -> None:
        self.layout = Layout(
            folder / "haproxy", folder / "master.sock", folder / "haproxy" / "worker.sock"
        )
        self.process = EmbeddedProcess(self.layout, binary=BINARY)
        self.proxy = HAProxy(self.layout, binary=BINARY, process=self.process)
        names = ("port", "one", "two")
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))

    def texts(self, extra: str = "", config: str = CONFIG) -> dict[str, str]:
        text = config.format(folder=self.layout.folder, **self.ports) + extra
        rows = sorted((section.name, section.digest) for section in parse_sections(text))
        return {
            "haproxy.cfg": text,
            "maps/web.map": "gitea.test gitea\n",
            SECTIONS_MAP: "".join(f"{name} {digest}\n" for name, digest in rows),
        }

    def start(self, extra: str = "", config: str = CONFIG) -> None:
        texts = self.texts(extra, config)
        write(self.layout, texts, texts)
        self.process.start()

    def apply(self, *steps: Step) -> None:
        self.proxy.apply(Plan(steps))

    def reload(self, texts: dict[str, str]) -> None:
        self.proxy.apply(Plan((WriteFiles(tuple(texts)), Reload(("test",))), texts))

    def fetch(self, host: str = "gitea.test") -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["port"], timeout=5)
        try:
            connection.request("GET", "/", headers={"Host": host})
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def server(self, name: str, backend: str = "gitea") -> RunningServer | None:
        """Return a server as it is now; its id, which HAProxy may choose, is left out."""
        servers = self.proxy.observe().servers[backend]
        return next((replace(one, id=0) for one in servers if one.name == name), None)

    def entries(self, file: str = "maps/web.map") -> tuple[tuple[str, str], ...]:
        return self.proxy.observe().maps[file]


@contextmanager
def lab(folder: Path) -> Iterator[Lab]:
    one = Lab(folder)
    try:
        yield one
    finally:
        one.process.stop()


def eventually(question, seconds: float = 5.0):
    """Return the first truthy answer, or the last one after *seconds*."""
    deadline = time.monotonic() + seconds
    while not (answer := question()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return answer


def ended(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True
