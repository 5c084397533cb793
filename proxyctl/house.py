"""The composition root: builds the parts of the house from settings and folders."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from proxyctl.files import issuance, memory, secret, templates
from proxyctl.files.certificates import Keyring, Places
from proxyctl.files.static import StaticSource
from proxyctl.folders import Folders
from proxyctl.haproxy.files import KEY_MODES, Layout
from proxyctl.haproxy.process import EmbeddedProcess
from proxyctl.haproxy.proxy import HAProxy
from proxyctl.podman.client import PodmanApi
from proxyctl.podman.events_file import guess_path, owner_of, path_of_service
from proxyctl.podman.source import PodmanSource
from proxyctl.reading import Source
from proxyctl.reconciler import Reconciler
from proxyctl.settings import Settings, Socket
from proxyctl.state.model import Global
from proxyctl.status.issuance import with_report
from proxyctl.status.view import View

LONGEST_SOCKET = 90
"""Characters: HAProxy appends a suffix to it, and a unix socket's path has 107."""

_MASTER_SOCKETS = {
    "own": "/run/proxyctl-haproxy/master.sock",
    "attach": "/run/haproxy-master.sock",
}


@dataclass(frozen=True, slots=True)
class House:
    """The parts of one service, built for one set of settings."""

    settings: Settings
    reconciler: Reconciler
    proxy: HAProxy
    sources: tuple[PodmanSource, ...]
    engine_status: Path

    def prepared(self) -> bool:
        """Tell whether everything is at hand for a look at everything; have it fetched if not."""
        ready = [source.prepared() for source in self.sources]  # all of them begin at once
        return all(ready)

    def told(self) -> View:
        """Return what is known, with what changes between cycles as of now. For any thread."""
        view = self.reconciler.told()
        running = self.proxy.as_of_now(view.running)
        view = replace(view, running=running, old_workers=self.proxy.old_workers())
        if view.settings.acme is None:
            return view
        return with_report(view, issuance.read(self.engine_status))


def build(settings: Settings, folders: Folders, *, read_only: bool) -> House:
    """Build everything that reads and carries out. Writes nothing if `read_only`."""
    sources = tuple(_podman_source(socket, settings) for socket in settings.podman.sockets)
    every: tuple[Source, ...] = (*sources, StaticSource(folders.routes))
    proxy = _proxy(settings, folders)
    key = folders.state / "cookie.key"
    reconciler = Reconciler(
        settings=settings,
        sources=every,
        proxy=proxy,
        overrides=lambda: templates.overrides(folders.templates),
        identity=_identity(settings, folders, secret.peek(key) if read_only else secret.keep(key)),
        memory=memory.load(memory_file(folders)),
        keyring=Keyring(Places.of(folders), time.time, read_only=read_only),
    )
    return House(settings, reconciler, proxy, sources, folders.acme_status)


def _podman_source(socket: Socket, settings: Settings) -> PodmanSource:
    return PodmanSource(socket.name, connector(socket, settings), where=socket.path)


def connector(socket: Socket, settings: Settings) -> Callable[[], PodmanApi]:
    """Return what opens a connection to a Podman."""
    return lambda: PodmanApi(socket.path, patience=settings.podman.timeout)


def events_file(socket: Socket) -> Path | None:
    """Return the log that a Podman writes its events to; None if it is not to be followed."""
    if socket.events_file:
        return None if socket.events_file == "off" else Path(socket.events_file)
    owner = owner_of(socket.path)
    environment = os.environ if owner == os.geteuid() else {}
    return path_of_service(socket.path) or guess_path(owner, environment)


def _layout(settings: Settings, folders: Folders) -> Layout:
    folder = Path(settings.haproxy.folder) if settings.haproxy.folder else folders.run / "haproxy"
    mode = settings.haproxy.mode
    default = _MASTER_SOCKETS.get(mode, str(folders.run / "haproxy-master.sock"))
    master = Path(settings.haproxy.master_socket or default)
    worker = master.with_name(f"{master.stem}-worker.sock")
    has_own = mode != "attach" and len(str(worker)) <= LONGEST_SOCKET
    return Layout(
        folder=folder,
        master_socket=master,
        worker_socket=worker if has_own else None,
        key_mode=KEY_MODES.get(mode, 0o600),
        scratch=folders.run,
    )


def _proxy(settings: Settings, folders: Folders) -> HAProxy:
    layout = _layout(settings, folders)
    mode = settings.haproxy.mode
    embedded = EmbeddedProcess(layout, binary=settings.haproxy.binary)
    return HAProxy(
        layout,
        binary=settings.haproxy.binary,
        process=embedded if mode == "embedded" else None,
        before=tuple(map(Path, settings.haproxy.check_files)) if mode == "attach" else None,
    )


def _identity(settings: Settings, folders: Folders, cookie_key: str) -> Global:
    return Global(
        folder=str(_layout(settings, folders).folder),
        owned=settings.haproxy.mode != "attach",
        worker_socket=str(_layout(settings, folders).worker_socket or ""),
        maxconn=settings.haproxy.maxconn,
        hard_stop_after=settings.haproxy.hard_stop_after,
        max_old_workers=settings.haproxy.max_old_workers,
        log=settings.haproxy.log,
        spares=_spares(settings.haproxy.spares),
        cookie_key=cookie_key,
    )


def _spares(count: int) -> tuple[tuple[str, int], ...]:
    few = max(1, count // 8)
    return (("http", count), ("sticky", few), ("tcp", few)) if count else ()


def memory_file(folders: Folders) -> Path:
    """Return the file of what outlives the process within one boot."""
    return folders.run / "memory.json"
