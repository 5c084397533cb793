"""A Podman on a unix socket, as far as proxyctl asks it: for tests without Podman.

    with FakePodman(tmp_path / "podman.sock", version="5.8") as podman:
        podman.add_pod("gitea", {"proxyctl.host": "git.example.com"}, "10.88.0.2")
        PodmanSource("", lambda: PodmanApi(podman.url)).read(None)
        assert podman.requests == ["info", "libpod list", ...]

What runs is in `containers`, `pods` and `images` (dicts by id, of plain values that a test may
change); the JSON of version "4.3" or "5.8" is made from them at each request. Names or ids are
good wherever one is asked for. Nothing sends events by itself but `stop_pod`, `restart_pod`,
`remove`, and what `emit` is told to.

Failures: `stop()`/`start()` (streams end, the socket file goes and comes back), and
`fail["pods/"] = 500` for every request whose path has that in it: a number is an HTTP status;
"gone" is the 500 for what is being removed, "hang" gives no answer until `stop`, "cut" half an
answer, "garbage" no JSON, "null" null. As real
Podman does, the inspect of a pod with a member in state "stopping" does not answer.
"""

import contextlib
import hashlib
import json
import socketserver
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

_BORN = 1_795_477_000


class FakePodman:
    """See the module."""

    def __init__(self, path: Path | str, *, version: str = "5.8", rootless: bool = False) -> None:
        self.path = Path(path)
        self.url = f"unix://{path}"
        self.version, self.rootless = version, rootless
        self.old = version.startswith("4.")
        self.containers: dict[str, dict[str, Any]] = {}
        self.pods: dict[str, dict[str, Any]] = {}
        self.images: dict[str, dict[str, Any]] = {}
        self.fail: dict[str, int | str] = {}
        self.requests: list[str] = []
        """What was asked, in order: "info", "libpod list", "compat list", "pod list", "events",
        "container NAME", "pod NAME", "image NAME"; NAME is "?" for what is not there."""
        self.streams: list[Any] = []
        self._server: _Server | None = None
        self._born = 0
        self._down = threading.Event()
        self.add_image("localhost/web:1")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen. Containers are as they were before."""
        self._down.clear()
        self.path.unlink(missing_ok=True)
        self._server = _Server(str(self.path), self)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self, *, leave_socket: bool = False) -> None:
        """End all connections and remove the socket (SIGKILL would leave it)."""
        self._down.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.end_connections()
            self._server = None
        if not leave_socket:
            self.path.unlink(missing_ok=True)

    def asked(self) -> list[str]:
        """Return the requests since the last call."""
        asked, self.requests[:] = list(self.requests), []
        return asked

    def add_image(self, name, labels=None, exposed=()) -> str:
        """Add an image; containers that are made of it later have its labels too."""
        image = {"id": _hash("image", name), "name": name, "labels": labels or {}}
        self.images[image["id"]] = image | {"exposed": list(exposed)}
        return image["id"]

    def add_container(self, name, labels=None, ip="", **more) -> str:
        """Add a running lone container, `ip` on the network podman; `more`: keys of the dict."""
        image = self.find(more.pop("image", "localhost/web:1"))
        self._born += 1
        container = {
            "id": _hash("container", name, self._born),
            "name": name,
            "labels": (image["labels"] if image else {}) | (labels or {}),
            "image": image,
            "state": "running",
            "started": _BORN + self._born,
            "created": _BORN + self._born,
            "networks": {"podman": ip} if ip else {},
            "mode": "bridge" if ip else "none",
            "published": [],  # (container port, host ip, host port)
            "exposed": [],
            "health": "",
            "pod": "",
            "infra": False,
            "owner": "",  # the id of the container whose network it shares
        } | more
        self.containers[container["id"]] = container
        return container["id"]

    def add_pod(self, name, labels=None, ip="", *, containers=("app",), kube=False, **more) -> str:
        """Add a running pod; `containers`: names (NAME-app is made of "app") or dicts like
        add_container's arguments; `more` (networks, mode, published, state) is the infra's.
        `kube`: the labels are on the members, not on the infra container."""
        pod = _hash("pod", name, self._born)
        self.pods[pod] = {"id": pod, "name": name, "labels": labels or {}, "created": _BORN}
        infra = self.add_container(
            f"{pod[:12]}-infra",
            {} if kube else dict(labels or {}),
            ip,
            pod=pod,
            infra=True,
            image=None,
            **more,
        )
        brought = dict(labels or {}) if kube else {}
        for one in containers:
            member = {"name": one} if isinstance(one, str) else dict(one)
            member["labels"] = brought | (member.get("labels") or {})
            self.add_member(name, **member, owner=infra)
        return pod

    def add_member(self, pod, name, *, owner, labels=None, **more) -> str:
        """Add a container to a pod."""
        return self.add_container(
            f"{pod}-{name}", labels, pod=self.find(pod)["id"], owner=owner, **more
        )

    def find(self, ref) -> dict[str, Any] | None:
        """Return the dict of a container, pod or image by name or id."""
        for table in (self.containers, self.pods, self.images):
            for one in table.values():
                if ref in (one["id"], one["name"]):
                    return one
        return None

    def members(self, pod) -> list[dict[str, Any]]:
        """Return the dicts of a pod's containers, infra first."""
        identity = self.find(pod)["id"]
        found = [one for one in self.containers.values() if one["pod"] == identity]
        return sorted(found, key=lambda one: not one["infra"])

    def stop_pod(self, name, *, slow=False) -> None:
        """Stop a pod; `slow`: its members take their time, and stay "stopping"."""
        pod = self.find(name)
        for one in self.members(name):
            one["state"] = "stopping" if slow and not one["infra"] else "exited"
        self.emit("pod", "stop", pod["id"])
        for one in self.members(name):
            if one["state"] == "exited":
                self.emit("container", "died", one["id"])

    def restart_pod(self, name, ip) -> None:
        """Start a pod again, with another address."""
        for one in self.members(name):
            self._born += 1
            one |= {"state": "running", "started": _BORN + self._born}
            if one["infra"]:
                one["networks"] = dict.fromkeys(one["networks"], ip)
            self.emit("container", "init", one["id"])
            self.emit("container", "start", one["id"])
        self.emit("pod", "start", self.find(name)["id"])

    def remove(self, name) -> None:
        """Remove a container, or a pod with its containers."""
        gone = self.find(name)
        if gone["id"] in self.pods:
            for one in self.members(name):
                del self.containers[one["id"]]
                self.emit("container", "remove", one["id"])
            del self.pods[gone["id"]]
            self.emit("pod", "remove", gone["id"])
        else:
            del self.containers[gone["id"]]
            self.emit("container", "remove", gone["id"])

    def emit(self, kind, action, identity, **more) -> None:
        """Send an event to all who follow: `emit("container", "start", id)`."""
        now = time.time_ns()
        event = {"status": action, "id": identity, "Type": kind, "Action": action}
        actor = {"ID": identity, "Attributes": more.pop("attributes", {})}
        event |= {"Actor": actor, "time": now // 10**9, "timeNano": now} | more
        self.emit_raw(json.dumps(event).encode() + b"\n")

    def emit_raw(self, line: bytes) -> None:
        """Send bytes as one chunk of the stream."""
        for stream in list(self.streams):
            with contextlib.suppress(OSError):
                stream.write(b"%x\r\n%s\r\n" % (len(line), line))

    def end_streams(self) -> None:
        """End all event streams properly, as 4.3.1 does when its log is rotated."""
        for stream in list(self.streams):
            with contextlib.suppress(OSError):
                stream.write(b"0\r\n\r\n")

    # --- the answers -------------------------------------------------------------------------

    def answer(self, path: str, query: dict[str, list[str]]) -> tuple[int, object]:
        """Return the status and the JSON of a request; the path without version."""
        parts = [unquote(part) for part in path.strip("/").split("/")]
        if parts == ["libpod", "info"]:
            self.requests.append("info")
            return 200, self._info()
        if parts[-2:] == ["containers", "json"]:
            return 200, self._listed(query, libpod=parts[0] == "libpod")
        table = {"containers": self.containers, "pods": self.pods, "images": self.images}
        if len(parts) == 4 and parts[0] == "libpod" and parts[1] in table:
            kind, one = parts[1][:-1], self.find(parts[2])
            known = one is not None and one["id"] in table[parts[1]]
            self.requests.append(f"{kind} {one['name'] if known else '?'}")
            if not known:
                return 404, {"cause": "none", "message": f"no such {kind}", "response": 404}
            if kind == "pod" and any(c["state"] == "stopping" for c in self.members(one["id"])):
                self._down.wait(30)
            return 200, getattr(self, f"_{kind}")(one)
        return 404, {"message": f"not faked: {path}"}

    def hang(self) -> None:
        """Wait until the service is stopped."""
        self._down.wait(60)

    def _listed(self, query, *, libpod) -> list[object]:
        wanted = json.loads(query["filters"][0])["pod"] if "filters" in query else None
        self.requests.append("pod list" if wanted else "libpod list" if libpod else "compat list")
        found = [c for c in self.containers.values() if not wanted or c["pod"] in wanted]
        return [self._libpod(one) if libpod else self._compat(one) for one in found]

    def _info(self) -> object:
        host = {"security": {"rootless": self.rootless}, "eventLogger": "file"}
        return {"host": host, "version": {"Version": self.version}}

    def _net(self, one) -> dict[str, Any]:
        return self.containers.get(one["owner"], one)

    def _libpod(self, one) -> object:
        pod = self.pods.get(one["pod"])
        net = self._net(one)
        any_ip = "" if self.old else "0.0.0.0"
        entry = {
            "Id": one["id"],
            "Names": [one["name"]],
            "Pod": one["pod"],
            "PodName": pod["name"] if pod else "",
            "IsInfra": one["infra"],
            "State": one["state"],
            "Status": one["health"],
            "Labels": one["labels"] or None,
            "Image": one["image"]["name"] if one["image"] else "",
            "ImageID": one["image"]["id"] if one["image"] else "",
            "Networks": sorted(one["networks"]),
            "Created": _rfc(one["created"]),
            "StartedAt": one["started"],
            "Ports": [
                {"container_port": c, "host_ip": h or any_ip, "host_port": p, "range": 1}
                | {"protocol": "tcp"}
                for c, h, p in net["published"]
            ]
            or None,
        }
        if not self.old:
            entry["ExposedPorts"] = {str(port): ["tcp"] for port in one["exposed"]} or None
        return entry

    def _networks(self, one) -> object:
        net = self._net(one)
        if net["mode"] != "bridge":
            return None if self.old else {net["mode"]: {"IPAddress": ""}}
        up = net["state"] in ("running", "stopping")
        return {
            name: {"IPAddress": ip if up else "", "GlobalIPv6Address": ""}
            for name, ip in net["networks"].items()
        }

    def _compat(self, one) -> object:
        return {
            "Id": one["id"],
            "Names": [f"/{one['name']}"],
            "Labels": one["labels"],
            "State": one["state"],
            "NetworkSettings": {"Networks": self._networks(one)},
        }

    def _container(self, one) -> object:
        ports = {
            f"{c}/tcp": [{"HostIp": h or ("" if self.old else "0.0.0.0"), "HostPort": str(p)}]
            for c, h, p in self._net(one)["published"]
        }
        config = {"Labels": one["labels"] or None}
        if not self.old:
            config["ExposedPorts"] = {f"{port}/tcp": {} for port in one["exposed"]}
        elif one["owner"]:
            words = [word for port in one["exposed"] for word in ("--expose", str(port))]
            image = [one["image"]["name"]] if one["image"] else []
            config["CreateCommand"] = ["podman", "run", *words, *image]
        else:
            ports = {f"{port}/tcp": None for port in one["exposed"]} | ports
        return {
            "Id": one["id"],
            "Name": one["name"],
            "Pod": one["pod"],
            "IsInfra": one["infra"],
            "Created": _rfc(one["created"]),
            "Image": one["image"]["id"] if one["image"] else "",
            "ImageName": one["image"]["name"] if one["image"] else "",
            "State": {
                "Status": one["state"],
                "StartedAt": _rfc(one["started"]),
                "Health": {"Status": one["health"]},
            },
            "Config": config,
            "NetworkSettings": {"Networks": self._networks(one), "Ports": ports},
            "HostConfig": {
                "NetworkMode": f"container:{one['owner']}" if one["owner"] else one["mode"],
                "PortBindings": {} if one["owner"] else ports,
            },
        }

    def _pod(self, pod) -> object:
        infra = next((one["id"] for one in self.members(pod["id"]) if one["infra"]), "")
        return {
            "Id": pod["id"],
            "Name": pod["name"],
            "Created": _rfc(pod["created"]),
            "Labels": pod["labels"] or None,
            "InfraContainerID": infra,
        }

    def _image(self, image) -> object:
        exposed = {f"{port}/tcp": {} for port in image["exposed"]}
        config = {"ExposedPorts": exposed} if exposed else {}
        return {"Id": image["id"], "Labels": image["labels"] or None, "Config": config}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do_GET(self) -> None:
        podman = self.server.podman
        url = urlsplit(self.path)
        path = url.path[url.path.index("/", 1) :]  # without /v4.0.0
        failure = next((how for part, how in podman.fail.items() if part in self.path), None)
        if failure == "hang":
            podman.hang()
            self.close_connection = True
        elif isinstance(failure, int):
            self._send(failure, json.dumps({"message": "told to fail", "response": failure}))
        elif failure == "gone":
            words = "container 1f does not exist in database: no such container"
            self._send(500, json.dumps({"message": words, "response": 500}))
        elif path.endswith("/events"):
            self._stream()
        else:
            status, body = podman.answer(path, parse_qs(url.query))
            text = {"garbage": "{]", "null": "null"}.get(failure, json.dumps(body))
            self._send(status, text, cut=failure == "cut")

    def _send(self, status: int, text: str, *, cut: bool = False) -> None:
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if cut else data)
        self.close_connection = self.close_connection or cut

    def _stream(self) -> None:
        podman = self.server.podman
        podman.requests.append("events")
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        podman.streams.append(self.wfile)
        with contextlib.suppress(OSError):
            self.rfile.read(1)  # until the other side goes, or we are stopped
        podman.streams.remove(self.wfile)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        return


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, path: str, podman: FakePodman) -> None:
        self.podman = podman
        self._open: set[Any] = set()
        super().__init__(path, _Handler)

    def process_request(self, request, client_address) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def end_connections(self) -> None:
        for request in list(self._open):
            with contextlib.suppress(OSError):
                request.shutdown(2)


def _hash(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _rfc(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.5Z", time.gmtime(second))
