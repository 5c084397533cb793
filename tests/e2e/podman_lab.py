"""The lab of tests/lab/lab.sh for pytest: pytest runs outside, what it tests runs inside.

`Lab.connect` gives a socket of the lab's network to a process that stays outside: requests need no
program of their own. A lab dies with the process that holds it, however that ends.
"""

import contextlib
import ctypes
import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPMessage
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

SCRIPT = Path(__file__).resolve().parent.parent / "lab" / "lab.sh"
CLONE_NEWNET = 0x40000000
IMAGE = "localhost/web"
T = TypeVar("T")


class Answer(NamedTuple):
    """An HTTP answer; `headers` are asked without regard to case."""

    status: int
    headers: HTTPMessage
    body: str

    def json(self) -> Any:
        return json.loads(self.body)


class LabProcess:
    """A program running in the lab, with standard output and error in `log`."""

    def __init__(self, popen: subprocess.Popen[bytes], log: Path) -> None:
        self._popen = popen
        self.log = log

    @property
    def pid(self) -> int:
        """The program's own pid, as seen from outside: that of the child of nsenter."""
        children = Path(f"/proc/{self._popen.pid}/task/{self._popen.pid}/children")
        return eventually(lambda: int(children.read_text().split()[0]), IndexError)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait(self, timeout: float = 20) -> int:
        """Return the exit status; minus the signal's number if one killed it."""
        return self._popen.wait(timeout)

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    def text(self) -> str:
        """Return what it printed so far."""
        return self.log.read_text(errors="replace")


class Lab:
    """A private network with a real Podman in it; 10.88.0.0/16 is Podman's, 127.0.0.1 is free."""

    socket_path = "/run/podman/podman.sock"
    folders = ("/etc/proxyctl", "/run/proxyctl", "/run/proxyctl-haproxy", "/var/lib/proxyctl")

    def __init__(self, folder: Path) -> None:
        """Start the lab; `folder` takes the logs of `popen` and is one that the lab can see."""
        self.folder = folder
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._started: list[subprocess.Popen[bytes]] = []
        self._keeper = subprocess.Popen(
            [SCRIPT, "keep"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._keeper.stdout
        word, _, pid = self._keeper.stdout.readline().partition(" ")
        if word != "ready":
            self._keeper.wait()
            raise RuntimeError("the lab did not start: its reason stands above")
        self.pid = int(pid)
        self._group = group_of(self.pid)

    def stop(self) -> None:
        """End everything in the lab, and the lab."""
        self._keeper.communicate("")
        for popen in self._started:
            popen.wait()

    # What happens inside.

    def popen(self, command: Sequence[str], *, env: Mapping[str, str] | None = None) -> LabProcess:
        """Start a program in the lab; its environment is the lab's and `env`."""
        log = self.folder / f"{len(self._started):03}-{Path(command[0]).name}.log"
        with log.open("wb") as output:
            popen = subprocess.Popen(
                self._entered(command, env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._started.append(popen)
        return LabProcess(popen, log)

    def run(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        check: bool = True,
        stdin: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in the lab to its end; with `check` a failure shows what it printed."""
        done = subprocess.run(
            self._entered(command, env),
            check=False,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
        )
        if check and done.returncode:
            raise AssertionError(
                f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done

    def podman(self, *arguments: str, check: bool = True) -> str:
        """Run `podman` in the lab; return what it prints, without the last line's end."""
        return self.run(["podman", *arguments], check=check).stdout.rstrip("\n")

    def proxyctl(
        self, *arguments: str, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a verb of proxyctl in the lab; the exit status is the caller's business."""
        return self.run(["proxyctl", *arguments], env=env, check=False)

    def start_proxyctl(
        self, config: str, *arguments: str, env: Mapping[str, str] | None = None
    ) -> LabProcess:
        """Write /etc/proxyctl/config.toml in the lab and start `proxyctl run`."""
        self.write("/etc/proxyctl/config.toml", config)
        return self.popen(["proxyctl", "run", *arguments], env=env)

    def stop_podman_service(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End Podman's API, not the pods."""
        pid = self.read("/run/lab/service.pid").strip()
        self.run(["kill", f"-{number.value}", pid])
        eventually(lambda: not self.outside(f"/proc/{pid}").exists())

    def start_podman_service(self) -> None:
        """Start Podman's API again, and wait until it answers."""
        start = f"""
            setsid podman system service --time 0 unix://{self.socket_path} \
                >>/run/lab/service.log 2>&1 & echo $! >/run/lab/service.pid"""
        self.run(["sh", "-c", start], env={"LAB_GROUP": self._group})
        eventually(self._podman_answers)

    def _podman_answers(self) -> bool:
        ping = ["curl", "-fs", "--unix-socket", self.socket_path, "http://d/_ping"]
        return self.run(ping, check=False).returncode == 0

    # The lab's files and network, from outside.

    def outside(self, path: str) -> Path:
        """Return where this process finds a file of the lab."""
        return Path(f"/proc/{self.pid}/root{path}")

    def read(self, path: str) -> str:
        return self.outside(path).read_text()

    def write(self, path: str, text: str) -> None:
        """Write a file of the lab: below /etc, /run or /var/lib, which are the lab's own."""
        file = self.outside(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def connect(self, host: str, port: int, *, timeout: float = 5) -> socket.socket:
        """Return a TCP connection made inside the lab's network."""
        return self._inside(lambda: socket.create_connection((host, port), timeout))

    def curl(
        self,
        url: str,
        *,
        host: str | None = None,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: str | None = None,
        timeout: float = 5,
    ) -> Answer:
        """Send one request from inside the lab; `host` is the Host header. OSError: no answer."""
        parts = urlsplit(url)
        assert parts.hostname
        sent = dict(headers or {}) | ({"Host": host} if host else {})
        port = parts.port or 80
        connection = http.client.HTTPConnection(parts.hostname, port)
        with contextlib.closing(connection):
            connection.sock = self.connect(parts.hostname, port, timeout=timeout)
            target = parts._replace(scheme="", netloc="").geturl() or "/"
            connection.request(method, target, body, sent)
            response = connection.getresponse()
            text = response.read().decode()
        return Answer(response.status, response.headers, text)

    def listening(self) -> set[int]:
        """Return the TCP ports on which anything listens in the lab, pods not counted."""
        lines = self.run(["ss", "-Hltn"]).stdout.splitlines()
        return {int(line.split()[3].rpartition(":")[2]) for line in lines}

    # Pods.

    def pod(self, name: str, *options: str, ports: Sequence[int] = (8080,)) -> None:
        """Create and start a pod with one container, NAME-web, that serves `ports`."""
        self.podman("pod", "create", "--name", name, *options)
        served = [str(port) for port in ports]
        self.podman("run", "-d", "--pod", name, "--name", f"{name}-web", IMAGE, *served)

    def address(self, name: str, network: str = "podman") -> str:
        """Return the address of a running pod, or of a lone container."""
        template = f'{{{{(index .NetworkSettings.Networks "{network}").IPAddress}}}}'
        infra = self.podman(
            "pod", "inspect", "--format", "{{.InfraContainerID}}", name, check=False
        )
        return self.podman("container", "inspect", "--format", template, infra or name)

    def image(self, name: str, *changes: str) -> str:
        """Make an image like localhost/web with more Dockerfile instructions; return its name."""
        options = [word for change in changes for word in ("--change", change)]
        entry = ["--change", 'ENTRYPOINT ["/web"]']
        script = 'tar -C /run/lab/image -c . | podman import --quiet "$@"'
        self.run(["sh", "-c", script, "import", *entry, *options, "-", f"localhost/{name}"])
        return f"localhost/{name}"

    def clean(self) -> None:
        """Remove pods, containers, proxyctl's files, and all processes but the lab's own."""
        self.podman("pod", "rm", "--all", "--force", "--time", "0")
        self.podman("rm", "--all", "--force", "--time", "0")
        while strangers := self._strangers():
            for pid in strangers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)
        for popen in self._started:
            popen.wait()
        self._started.clear()
        self.run(["rm", "-rf", *self.folders])
        if not self._podman_answers():
            self.start_podman_service()

    # How.

    def _entered(self, command: Sequence[str], env: Mapping[str, str] | None) -> list[str]:
        settings = [f"{name}={value}" for name, value in (env or {}).items()]
        return [str(SCRIPT), "exec", str(self.pid), *settings, *command]

    def _inside(self, action: Callable[[], socket.socket]) -> socket.socket:
        """Call `action` on a thread in the lab's network: a socket stays where it is made."""
        results: list[socket.socket | OSError] = []

        def work() -> None:
            with Path(f"/proc/{self.pid}/ns/net").open() as namespace:
                entered = self._libc.setns(namespace.fileno(), CLONE_NEWNET) == 0
            try:
                results.append(action() if entered else OSError(ctypes.get_errno(), "setns"))
            except OSError as error:
                results.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        result = results[0]
        if isinstance(result, OSError):
            raise result
        return result

    def _strangers(self) -> list[int]:
        """Return the pids of what runs in the lab and is not of its own: that is marked."""
        namespace = Path(f"/proc/{self.pid}/ns/pid").readlink()
        mark = f"LAB_GROUP={self._group}\0".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                inside = (entry / "ns/pid").readlink() == namespace
                if inside and mark not in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
        return found


def group_of(pid: int) -> str:
    """Return the name of the cgroup of the lab with that first process; no other lab has it."""
    words = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return next(word.removeprefix("LAB_GROUP=") for word in words if word.startswith("LAB_GROUP="))


def eventually(probe: Callable[[], T], *errors: type[Exception], seconds: float = 20) -> T:
    """Return what `probe` returns once that is true, and none of `errors` is raised."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            result: T | None = probe()
            reason = f"it said {result!r}"
        except errors as error:
            result, reason = None, repr(error)
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"still not so after {seconds} s: {reason}")
        time.sleep(0.02)
