"""HAProxy's program: whether it is one, and what it can do. Asked once, until it is replaced."""

import re
import shutil
import subprocess
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from proxyctl.haproxy.answers import parse_features
from proxyctl.plan.capabilities import quic_of
from proxyctl.problems import HAProxyUnavailable
from proxyctl.state.model import Quic

_SETTING = "haproxy.binary in config.toml"
_OLDEST = (2, 6)
_PATIENCE = 10.0
_SLICE = 0.02
"""Seconds between two looks whether somebody is in a greater hurry than `haproxy -c`."""
_VERSION = re.compile(r"HA-?Proxy version (\d+)\.(\d+)")
"""First line of `haproxy -v`; before 2.4 the name had a hyphen."""

_Identity = tuple[int, int]
"""Of a file: another one, or one that was written anew, is another program."""


def require_haproxy(binary: str) -> None:
    """Raise HAProxyUnavailable unless a program calls itself HAProxy, and is new enough.

    One that does is not asked again, unless its file is replaced: an update does not end us.
    """
    _version(*_found(binary))


def quic(binary: str) -> Quic:
    """Return what a program has of QUIC. Raises HAProxyUnavailable as `require_haproxy` does."""
    return _quic(*_found(binary))


def _found(binary: str) -> tuple[str, _Identity]:
    found = shutil.which(binary)
    if found is None:
        raise HAProxyUnavailable(f"{_SETTING}: there is no program {binary!r}")
    status = Path(found).stat()
    return found, (status.st_ino, status.st_mtime_ns)


@lru_cache(maxsize=4)
def _version(binary: str, _identity: _Identity) -> tuple[int, int]:
    version = _VERSION.match(run([binary, "-v"], "/", _PATIENCE).stdout)
    if not version:
        raise HAProxyUnavailable(f"{_SETTING}: {binary} does not call itself HAProxy")
    number = (int(version[1]), int(version[2]))
    if number < _OLDEST:
        told = f"{version[1]}.{version[2]}"
        raise HAProxyUnavailable(f"{_SETTING}: {binary} is HAProxy {told}, older than 2.6")
    return number


@lru_cache(maxsize=4)
def _quic(binary: str, identity: _Identity) -> Quic:
    said = run([binary, "-vv"], "/", _PATIENCE).stdout
    return quic_of(_version(binary, identity), parse_features(said))


def run(
    command: list[str], folder: str, timeout: float, give_way: Callable[[], None] = lambda: None
) -> subprocess.CompletedProcess[str]:
    """Run a program of HAProxy's to its end. Raises HAProxyUnavailable if there is none.

    `give_way` is called while it runs; what it raises ends that.
    """
    what = " ".join(command[:2])
    try:
        with subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        ) as process:
            try:
                said = _awaited(process, time.monotonic() + timeout, give_way)
            except BaseException:
                process.kill()
                raise
    except subprocess.TimeoutExpired as error:
        raise HAProxyUnavailable(f"{what} took more than {timeout:g} s") from error
    except OSError as error:
        raise HAProxyUnavailable(f"{what}: {error.strerror}") from error
    return subprocess.CompletedProcess(command, process.returncode, *said)


def _awaited(
    process: subprocess.Popen[str], deadline: float, give_way: Callable[[], None]
) -> tuple[str, str]:
    """Return what a process says until it ends; raises TimeoutExpired."""
    while True:
        left = deadline - time.monotonic()
        try:
            return process.communicate(timeout=max(0.0, min(left, _SLICE)))
        except subprocess.TimeoutExpired:
            if time.monotonic() >= deadline:
                raise
            give_way()
