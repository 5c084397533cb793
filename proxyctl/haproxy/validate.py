"""What HAProxy itself says about a configuration, before anything of it is written (`-c`)."""

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from proxyctl.haproxy import files
from proxyctl.haproxy.answers import Alert, parse_alerts
from proxyctl.haproxy.files import Layout
from proxyctl.haproxy.scratch import private_folder
from proxyctl.problems import ConfigRejected, HAProxyUnavailable
from proxyctl.state.model import CERTS, CRT_LIST
from proxyctl.state.render import CONFIG

_SETTING = "haproxy.binary in config.toml"
_OLDEST = (2, 6)
_PATIENCE = 10.0
_SLICE = 0.02
"""Seconds between two looks whether somebody is in a greater hurry than `haproxy -c`."""
_VERSION = re.compile(r"HA-?Proxy version (\d+)\.(\d+)")
"""First line of `haproxy -v`; before 2.4 the name had a hyphen."""
_NO_LISTENER = 2
"""Exit status of `haproxy -c`, explained on stdout only: "Configuration file has no error but will
not start (no listener) => exit(2)." (2.6, 3.0)."""
_DEAF = "it has no error, but HAProxy would not start: nothing listens (no frontend has a `bind`)"


def check(  # noqa: PLR0913 - where, with what, and for how long
    texts: Mapping[str, str],
    *,
    binary: str,
    layout: Layout | None = None,
    before: Iterable[Path | str] | None = None,
    timeout: float = 30.0,
    give_way: Callable[[], None] = lambda: None,
) -> None:
    """Let `haproxy -c` read *texts* in a private folder, after the files *before*.

    `layout` is where they will live: names of maps and certificates that begin with its folder
    are looked for in the private one. Addresses are literals, so that no DNS is asked. Without
    `before` *texts* are the whole configuration, and have to listen somewhere; with it, files that
    nobody named may. `give_way` is called while HAProxy reads; what it raises ends that.
    Raises ConfigRejected with the lines of our haproxy.cfg, HAProxyUnavailable without a binary,
    or with one that is no HAProxy that we know: another program may accept anything.
    """
    require_haproxy(binary)
    folder = layout.folder if layout else None
    with private_folder(layout.scratch if layout else None) as name:
        private = Layout(name, name / "none.sock")
        here = dict(texts)
        if folder is not None:
            for file in here.keys() & {CONFIG, CRT_LIST}:
                here[file] = _moved(here[file], folder, private.folder)
        files.write(private, here, here)
        others = [_redirected(str(other), folder, private.folder) for other in before or ()]
        arguments = [word for one in (*others, str(private.config)) for word in ("-f", one)]
        result = _run([binary, "-c", *arguments], str(name), timeout, give_way)
        if result.returncode < 0:
            raise HAProxyUnavailable(f"{binary} -c was ended by signal {-result.returncode}")
        if result.returncode == _NO_LISTENER and "no listener" in result.stdout:
            if before is None:
                raise ConfigRejected(((None, _DEAF),))
        elif result.returncode:
            alerts = _alerts(result.stderr, str(private.config))
            raise ConfigRejected(
                tuple((line, text.replace(f"{name}/", "")) for line, text in alerts)
            )


def _moved(text: str, folder: Path, private: Path) -> str:
    for part in (files.MAPS, CERTS):
        text = text.replace(f"{folder}/{part}/", f"{private}/{part}/")
    return text


def require_haproxy(binary: str) -> None:
    """Raise HAProxyUnavailable unless a program calls itself HAProxy, and is new enough.

    One that does is not asked again, unless its file is replaced: an update does not end us.
    """
    found = shutil.which(binary)
    if found is None:
        raise HAProxyUnavailable(f"{_SETTING}: there is no program {binary!r}")
    status = Path(found).stat()
    _require(found, (status.st_ino, status.st_mtime_ns))


@lru_cache(maxsize=4)
def _require(binary: str, _identity: tuple[int, int]) -> None:
    said = _run([binary, "-v"], "/", _PATIENCE).stdout
    version = _VERSION.match(said)
    if not version:
        raise HAProxyUnavailable(f"{_SETTING}: {binary} does not call itself HAProxy")
    if tuple(map(int, version.groups())) < _OLDEST:
        number = ".".join(version.groups())
        raise HAProxyUnavailable(f"{_SETTING}: {binary} is HAProxy {number}, older than 2.6")


def _redirected(config: str, folder: Path | None, private: Path) -> str:
    """Return a file to read for *config*: a copy, if it names our files where they will be."""
    try:
        text = Path(config).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return config  # a folder, or for HAProxy to complain about
    if folder is None or (redirected := _moved(text, folder, private)) == text:
        return config
    copy = private / f"copy-of-{Path(config).name}"
    copy.write_text(redirected, encoding="utf-8", errors="surrogateescape")
    return str(copy)


def _alerts(stderr: str, file: str) -> tuple[Alert, ...]:
    last: tuple[Alert, ...] = tuple(
        (None, line.strip()) for line in stderr.splitlines()[-3:] if line.strip()
    )
    return parse_alerts(stderr, file=file) or last


def _run(
    command: list[str], folder: str, timeout: float, give_way: Callable[[], None] = lambda: None
) -> subprocess.CompletedProcess[str]:
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
