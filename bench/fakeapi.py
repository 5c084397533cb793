#!/usr/bin/env python3
"""An imitation of Podman's API with as many pods as one likes: real answers about one, repeated.

`capture` makes a real pod in the lab and keeps what Podman says of it, so that the imitation is of
the Podman that is installed. `fakeapi.py TEMPLATE SOCKET PODS` serves it. Pod i has the host
hI.test and the address 10.99.0.0 + i. It answers several times faster than Podman does.

Of its own: POST /bench/add and /bench/remove (one pod more or less, with the events of a real
one), GET /bench/requests (how many there were).
"""

import asyncio
import http.client
import ipaddress
import json
import re
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from lab import IMAGE, SOCKET, address_of, podman

_MARK = 424242
_NAME, _HOST = f"u{_MARK}", f"h{_MARK}"
_NETWORK = ipaddress.IPv4Address("10.99.0.0")
_LIBPOD = "/v4.0.0/libpod"
_SAME_FOR_ALL = ("/_ping", "/version", "/info", "/libpod/_ping", "/libpod/version", "/libpod/info")
_ROLES = ("pod", "infra", "app")
_PING_HEADERS = ("api-version", "libpod-api-version", "docker-experimental", "ostype")


def address(number: int) -> str:
    """Return the address of a pod."""
    return str(_NETWORK + number)


def ask(path: str, *, at: str = SOCKET, method: str = "GET") -> bytes:
    """Send a request to an API; return the body, whatever the status."""
    return _exchange(path, at, method)[1]


def _exchange(path: str, at: str, method: str) -> tuple[dict[str, str], bytes]:
    connection = http.client.HTTPConnection("d", timeout=120)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(120)
    connection.sock.connect(at)
    connection.request(method, path)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return {name.lower(): value for name, value in response.getheaders()}, body


# --- the real pod --------------------------------------------------------------------------------


def capture(labels: Sequence[str], into: Path) -> None:
    """Write what Podman says of a pod with these labels (made for the host h424242.test)."""
    since = int(time.time()) - 1
    podman("pod", "create", f"--name={_NAME}", *(f"--label={label}" for label in labels))
    podman("run", "--detach", f"--pod={_NAME}", f"--name={_NAME}-app", IMAGE)
    ids = {
        "pod": podman("pod", "inspect", "--format={{.ID}}", _NAME),
        "infra": podman("pod", "inspect", "--format={{.InfraContainerID}}", _NAME),
        "app": podman("inspect", "--format={{.Id}}", f"{_NAME}-app"),
    }
    template = {"ids": ids, "address": address_of(ids["app"])}
    template |= {"headers": _exchange("/_ping", SOCKET, "GET")[0]} | _described(ids)
    removed = time.time_ns()
    podman("pod", "rm", "--force", "--time=0", _NAME)
    time.sleep(1)
    template["events"] = {
        kind: _split(ids, ask(f"{prefix}/events?stream=false&since={since}"), removed)
        for kind, prefix in (("libpod", _LIBPOD), ("docker", ""))
    }
    into.write_text(json.dumps(template))


def _described(ids: dict[str, str]) -> dict[str, Any]:
    containers = [ids["infra"], ids["app"]]

    def of_pod(path: str) -> list[Any]:
        return [one for one in json.loads(ask(path)) if one["Id"] in containers]

    image = json.loads(ask(f"{_LIBPOD}/containers/{ids['app']}/json"))["Image"]
    versioned = {path: path.replace("/libpod", _LIBPOD, 1) for path in _SAME_FOR_ALL}
    return {
        "same": {path: ask(real).decode() for path, real in versioned.items()},
        "lists": {
            "libpod": of_pod(f"{_LIBPOD}/containers/json?all=true"),
            "docker": of_pod("/containers/json?all=true"),
        },
        "inspects": {
            f"{kind} {role}": json.loads(ask(f"{prefix}/containers/{ids[role]}/json"))
            for kind, prefix in (("libpod", _LIBPOD), ("docker", ""))
            for role in ("infra", "app")
        }
        | {"libpod pod": json.loads(ask(f"{_LIBPOD}/pods/{ids['pod']}/json"))},
        "image": json.loads(ask(f"{_LIBPOD}/images/{image}/json")),
    }


def _split(ids: dict[str, str], lines: bytes, at: int) -> dict[str, list[Any]]:
    events = [json.loads(line) for line in lines.splitlines() if line.strip()]
    ours = [one for one in events if one.get("Actor", {}).get("ID") in ids.values()]
    return {
        "add": [one for one in ours if one["timeNano"] < at],
        "remove": [one for one in ours if one["timeNano"] >= at],
    }


# --- the imitation -------------------------------------------------------------------------------


class Imitation:
    """The answers. Objects are kept as JSON texts in which a pod's marks are replaced."""

    def __init__(self, template: dict[str, Any], pods: int) -> None:
        self._template, self.pods = template, pods
        self.requests = 0
        self._lists = {kind: _texts(entries) for kind, entries in template["lists"].items()}
        self._inspects = {key: _texts([one])[0] for key, one in template["inspects"].items()}
        self._events = {
            (kind, what): _texts(events)
            for kind, both in template["events"].items()
            for what, events in both.items()
        }
        self._whole: dict[tuple[str, int], str] = {}

    def whole_list(self, kind: str) -> str:
        """Return the list of all containers; made once for a number of pods."""
        key = (kind, self.pods)
        if key not in self._whole:
            entries = (entry for number in range(self.pods) for entry in self._of(kind, number))
            self._whole[key] = f"[{','.join(entries)}]"
        return self._whole[key]

    def events(self, kind: str, what: str, number: int) -> Iterator[str]:
        """Yield the events of a pod that comes or goes, as of now."""
        for text in self._events[kind, what]:
            event = json.loads(self._renamed(text, number))
            now = time.time_ns()
            event |= {"time": now // 10**9, "timeNano": now}
            yield json.dumps(event) + "\n"

    def answer(self, target: str) -> tuple[int, str]:
        """Return the status and body of a GET."""
        url = urlsplit(target)
        path = re.sub(r"^/v[0-9.]+(?=/)", "", url.path)
        kind = "libpod" if path.startswith("/libpod/") else "docker"
        if path in self._template["same"]:
            return 200, self._template["same"][path]
        match path.removeprefix("/libpod").strip("/").split("/"):
            case ["containers", "json"]:
                pod = json.loads(parse_qs(url.query).get("filters", ["{}"])[0]).get("pod")
                return 200, self._of_pod(kind, pod) if pod else self.whole_list(kind)
            case ["images", _, "json"]:
                return 200, json.dumps(self._template["image"])
            case [("containers" | "pods") as what, reference, "json"]:
                return self._inspect(kind, what, unquote(reference))
        return 404, json.dumps({"message": f"not imitated: {path}", "response": 404})

    def _inspect(self, kind: str, what: str, reference: str) -> tuple[int, str]:
        found = self._found(reference)
        if found is None or (found[0] == "pod") != (what == "pods"):
            return 404, json.dumps({"message": f"no such object: {reference}", "response": 404})
        role, number = found
        return 200, self._renamed(self._inspects[f"{kind} {role}"], number)

    def _of_pod(self, kind: str, pod: Sequence[str]) -> str:
        found = self._found(next(iter(pod)))
        return f"[{','.join(self._of(kind, found[1]))}]" if found else "[]"

    def _of(self, kind: str, number: int) -> Iterator[str]:
        return (self._renamed(text, number) for text in self._lists[kind])

    def _found(self, reference: str) -> tuple[str, int] | None:
        """Return the role and number that an id stands for, if it is there."""
        match = re.match(r"^([0-2])([0-9a-f]{11})", reference)
        number = int(match[2], 16) if match else self.pods
        return (_ROLES[int(match[1])], number) if match and number < self.pods else None

    def _renamed(self, text: str, number: int) -> str:
        for role, real in self._template["ids"].items():
            new = f"{_ROLES.index(role)}{number:011x}"
            text = text.replace(real, new + real[12:]).replace(real[:12], new)
        text = text.replace(_HOST, f"h{number}").replace(_NAME, f"u{number}")
        return text.replace(f'"{self._template["address"]}"', f'"{address(number)}"')


def _texts(entries: Sequence[Any]) -> list[str]:
    return [json.dumps(entry, separators=(",", ":")) for entry in entries]


class Server:
    """The imitation on a socket."""

    def __init__(self, template: dict[str, Any], pods: int) -> None:
        self._imitation = Imitation(template, pods)
        headers = {name: template["headers"].get(name, "") for name in _PING_HEADERS}
        self._headers = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value)
        self._first = pods
        self._streams: dict[asyncio.StreamWriter, str] = {}

    async def serve(self, path: str) -> None:
        """Serve for ever; says "ready" when it does."""
        for kind in ("libpod", "docker"):
            self._imitation.whole_list(kind)
        server = await asyncio.start_unix_server(self._connection, path, backlog=512)
        print("ready", flush=True)
        await server.serve_forever()

    async def _connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                target = head.split(b" ", 2)[1].decode()
                if "/events" in target.partition("?")[0]:
                    await self._stream(target, reader, writer)
                    break
                status, body = self._answer(target)
                self._send(writer, status, "" if head.startswith(b"HEAD") else body)
                await writer.drain()
        writer.close()

    def _answer(self, target: str) -> tuple[int, str]:
        match target.split("/")[1:]:
            case ["bench", "requests"]:
                return 200, str(self._imitation.requests)
            case ["bench", ("add" | "remove") as what]:
                self._imitation.pods = self._first + (what == "add")
                self._tell(what)
                return 200, ""
        self._imitation.requests += 1
        return self._imitation.answer(target)

    def _send(self, writer: asyncio.StreamWriter, status: int, body: str) -> None:
        data = body.encode()
        head = f"HTTP/1.1 {status} -\r\n{self._headers}Content-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)

    async def _stream(
        self, target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = f"HTTP/1.1 200 -\r\n{self._headers}Content-Type: application/json\r\n"
        writer.write(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        self._streams[writer] = "libpod" if "/libpod/" in target else "docker"
        await reader.read()  # until the other side goes
        del self._streams[writer]

    def _tell(self, what: str) -> None:
        for writer, kind in self._streams.items():
            for line in self._imitation.events(kind, what, self._first):
                data = line.encode()
                writer.write(b"%x\r\n%s\r\n" % (len(data), data))


if __name__ == "__main__":
    _, _template, _path, _pods = sys.argv
    asyncio.run(Server(json.loads(Path(_template).read_text()), int(_pods)).serve(_path))
