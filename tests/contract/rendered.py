"""What our templates make of pods, running in a real HAProxy, whose backends tell their names.

Instead of asking a server, each backend answers with its name and the path that it would send.
"""

import http.client
import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from real_haproxy import lab

from proxyctl.haproxy.files import write
from proxyctl.routes.workload import Workload
from tests.pipeline import FOLDER, decided

SETTINGS = """
[haproxy]
mode = "embedded"
[entrypoints.web]
bind = ["127.0.0.1:{port}"]
"""
MAP = "maps/web.http.map"


class Answering:
    """A HAProxy to ask, and the entries of its map of routes."""

    def __init__(self, port: int, entries: tuple[tuple[str, str], ...]) -> None:
        self.entries = entries
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)

    def ask(
        self, host: str, path: str, headers: Mapping[str, str] | None = None
    ) -> tuple[int, str, str]:
        """Return the status, the name of the backend, and what it would have sent on."""
        self._connection.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
        for name, value in {"Host": host, **(headers or {})}.items():
            self._connection.putheader(name, value)
        self._connection.endheaders()
        response = self._connection.getresponse()
        backend, _, sent = response.read().decode().rstrip("\n").partition(" ")
        return response.status, *((backend, sent) if response.status == 200 else ("", ""))

    def close(self) -> None:
        self._connection.close()


@contextmanager
def answering(
    folder: Path, *pods: Workload, tell: str = "%[path]", settings: str = ""
) -> Iterator[Answering]:
    """Run what is rendered of *pods*; `tell`: HAProxy's words for what its backends are to say.

    `settings`: more of the entrypoint.
    """
    with lab(folder) as one:
        decision = decided(*pods, text=SETTINGS.format(port=one.ports["port"]) + settings)
        texts = {
            name: text.replace(FOLDER, str(one.layout.folder))
            for name, text in decision.rendered.texts.items()
        }
        texts["haproxy.cfg"] = _telling(texts["haproxy.cfg"], tell)
        write(one.layout, texts, texts)
        one.process.start()
        entries = next(found.entries for found in decision.desired.maps if found.file == MAP)
        with closing(Answering(one.ports["port"], entries)) as found:
            yield found


def _telling(config: str, tell: str) -> str:
    def with_answer(section: re.Match[str]) -> str:
        said = f'content-type text/plain lf-string "{section[1]} {tell}"'
        return f"{section[0]}    http-request return status 200 {said}\n"

    return re.sub(r"^backend (\S+) .*\n(?: .*\n)+", with_answer, config, flags=re.MULTILINE)
