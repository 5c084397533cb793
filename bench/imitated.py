"""Running an imitation of Podman (fakeapi.py), and one web server that answers for all its pods.

All of 10.99.0.0/16 is the lab's own then (a local route on `lo`), and nowhere else.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import fakeapi
from arena import host
from contestants import Contestant
from lab import FOLDER

SOCKET = str(FOLDER / "imitated.sock")
_TEMPLATE = FOLDER / "template.json"
_HERE = Path(__file__).resolve().parent


@contextlib.contextmanager
def web() -> Iterator[None]:
    """Run the web server that is behind all imitated addresses."""
    route = ["local", "10.99.0.0/16", "dev", "lo"]
    subprocess.run(["ip", "route", "replace", *route], check=True)
    popen = subprocess.Popen([_HERE / "work/web"], env={**os.environ, "ID": "imitated"})
    try:
        yield
    finally:
        popen.terminate()
        popen.wait(20)
        subprocess.run(["ip", "route", "del", *route], check=True)


@contextlib.contextmanager
def podman_with(pods: int, contestants: Sequence[Contestant]) -> Iterator[None]:
    """Serve the imitation at SOCKET, its pods labelled for all the contestants."""
    if not _TEMPLATE.exists():
        labels = [label for one in contestants for label in one.labels_for("h424242.test")]
        fakeapi.capture(labels, _TEMPLATE)
    Path(SOCKET).unlink(missing_ok=True)
    command = [sys.executable, str(_HERE / "fakeapi.py"), str(_TEMPLATE), SOCKET, str(pods)]
    popen = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        if not popen.stdout or popen.stdout.readline() != "ready\n":
            raise RuntimeError("the imitation of Podman did not start")
        yield
    finally:
        popen.kill()
        popen.wait()


def hosts(pods: int) -> dict[str, list[str]]:
    """Return the addresses of all hosts."""
    return {host(number): [fakeapi.address(number)] for number in range(pods)}


def time_of_lists() -> float:
    """Return the ms that the two lists of all containers take to fetch, the better of two."""
    paths = ("/v4.0.0/libpod/containers/json?all=true", "/v4.0.0/containers/json?all=true")
    times = []
    for _ in range(2):
        began = time.monotonic_ns()
        for path in paths:
            fakeapi.ask(path, at=SOCKET)
        times.append((time.monotonic_ns() - began) / 1e6)
    return min(times)


def requests() -> int:
    """Return how many requests the imitation has answered."""
    return int(fakeapi.ask("/bench/requests", at=SOCKET))


def change(what: str) -> None:
    """`add` a pod, or `remove` it."""
    fakeapi.ask(f"/bench/{what}", at=SOCKET, method="POST")
