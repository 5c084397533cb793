"""Joins the parts by a doorbell, and turns the loop: threads, signals, systemd."""

import logging
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from proxyctl import overrides
from proxyctl.delivery import NEVER
from proxyctl.files import memory, wanted
from proxyctl.files.certificates import Places
from proxyctl.files.lock import Lock
from proxyctl.files.watch import Watch
from proxyctl.folders import Folders
from proxyctl.haproxy import scratch
from proxyctl.house import build, connector, events_file, memory_file
from proxyctl.litter import Litter
from proxyctl.podman.events import EventThread
from proxyctl.podman.events_file import EarlyBell
from proxyctl.problems import HAProxyUnavailable, Problem, ProxyctlError, SettingsError, Severity
from proxyctl.reconciler import DUE
from proxyctl.settings import Settings
from proxyctl.status import log as logs
from proxyctl.status import troubles
from proxyctl.status.notify import Notifier
from proxyctl.status.server import StatusServer
from proxyctl.status.view import View
from proxyctl.wakeup import Ring, Wakeup

log = logging.getLogger("proxyctl")

PULSE = 1.0
"""Seconds between two looks whether HAProxy still is the process that it was."""
ABSENT = 0.1
"""The same while there is none: its unit may start it at any moment."""
SUBSCRIBING = 0.5
"""Seconds that Podman's streams of events may take to open, until everything is read without."""
RETRY = (0.5, 10.0)
"""Seconds until a refused change is tried again, at first and at most."""

_POLL = 0.005
_LISTING = 0.02
"""Seconds between two looks whether Podman's lists are there."""
_GRACE = 30.0
"""Seconds that a look at everything may be put off by those who ring one after the other."""

SELDOM = 20
"""So many times what a look at everything took lie between two of them, at least."""
SETTLE = (0.3, 3.0)
"""Seconds of quiet until the files follow what was done at run time, and at most."""
QUIET = 60.0
"""Seconds without a change until a reload for good housekeeping may be made."""


def _take(folders: Folders) -> None:
    """Become the one who changes things; raises AlreadyRunning."""
    Lock(folders.run / "lock").take()
    scratch.sweep(folders.run)


# ---- what the command line asks for -----------------------------------------------------------


def look(settings: Settings, folders: Folders) -> View:
    """Read everything once and change nothing."""
    house = build(settings, folders, read_only=True)
    house.reconciler.look()
    return house.told()


def apply_once(settings: Settings, folders: Folders, *, dry_run: bool) -> View:
    """Carry out one cycle, if no service does so already."""
    if dry_run:
        return look(settings, folders)
    _take(folders)
    house = build(settings, folders, read_only=False)
    view = house.reconciler.once()
    memory.Keeper(memory_file(folders)).save(house.reconciler.memory)
    return view


def exit_code(view: View) -> int:
    """Return what a cycle means to who asked for one: 69 where HAProxy does not run."""
    if view.haproxy_error and not view.running.alive:
        return HAProxyUnavailable.exit_code
    return 1 if view.haproxy_error or view.desired is None else 0


def run(
    settings: Settings,
    folders: Folders,
    *,
    once: bool = False,
    dry_run: bool = False,
    reread: Callable[[], Settings] | None = None,
) -> int:
    """Run the service until SIGTERM. HAProxy goes on serving afterwards.

    `reread` returns the settings anew, for SIGHUP. Returns the exit code.
    """
    logs.to_stderr()
    if once or dry_run:
        view = apply_once(settings, folders, dry_run=dry_run)
        logs.tell(view)
        return exit_code(view)
    _take(folders)
    Service(settings, folders, reread or (lambda: settings)).run()
    return 0


@dataclass(slots=True)
class _Due:
    """When what is to be done, on time.monotonic's clock."""

    resync: float
    settle: float = NEVER
    housekeeping: float = NEVER
    unsettled: float = NEVER
    """Since when the files are not what runs."""
    latest: float = NEVER
    """When the files follow whoever rings."""
    took: float = 0.0
    """Seconds that the files took last: thousands of routes take some, and begun in vain they
    cost as much."""

    def happened(self, now: float, *, settled: bool) -> None:
        """Note that there was a change: what can wait for quiet waits anew."""
        self.housekeeping = now + QUIET
        self.unsettled = NEVER if settled else min(self.unsettled, now)
        soon, latest = SETTLE
        quiet, bound = max(soon, 2 * self.took), max(latest, 10 * self.took)
        self.latest = NEVER if settled else self.unsettled + bound
        self.settle = NEVER if settled else min(now + quiet, self.latest)

    def followed(self, took: float) -> None:
        """Note that the files were seen to, in so many seconds."""
        self.settle = self.unsettled = self.latest = NEVER
        self.took = took


class Service:
    """The loop around the cycle, with everything that rings."""

    def __init__(
        self, settings: Settings, folders: Folders, reread: Callable[[], Settings]
    ) -> None:
        self._folders = folders
        self._reread = reread
        self._wakeup = Wakeup()
        self._litter = Litter()
        self._notifier = Notifier()
        self._house = build(settings, folders, read_only=False)
        self._hung_up = False
        self._refused: Problem | None = None
        """Of the settings on disk, where those in force are older."""
        self._keeper = memory.Keeper(memory_file(folders))
        self._problems: frozenset[object] = frozenset()
        self._retry = 0.0
        self._failures = 0

    def run(self) -> None:
        """Turn until told to stop."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._wakeup.close())
        signal.signal(signal.SIGHUP, self._on_hangup)
        watch = Watch(self._folders.watched, self._wakeup)
        server = StatusServer(
            self._folders.run / "api.sock",
            self._told,
            lambda state, name: self._wakeup.ring("api", overrides.request(state, name)),
        )
        watch.start()
        server.start()
        try:
            while not self._wakeup.closed:
                with self._followed():
                    self._turn_until_hangup()
        finally:
            self._notifier.stopping()
            server.stop()
            watch.stop()
            self._save()
            log.info("proxyctl ends; HAProxy goes on serving")

    def _told(self) -> View:
        view = self._house.told()
        if self._refused:
            view = replace(view, problems=(self._refused, *view.problems))
        return view

    def _on_hangup(self, *_: object) -> None:
        self._hung_up = True
        self._wakeup.ring("signal")

    @contextmanager
    def _followed(self) -> Iterator[None]:
        """Follow the events of every Podman of these settings."""
        settings = self._house.settings
        threads = [
            EventThread(socket.name, connector(socket, settings), self._wakeup)
            for socket in settings.podman.sockets
        ]
        early = [
            EarlyBell(socket.name, self._wakeup, path)
            for socket in settings.podman.sockets
            if (path := events_file(socket))
        ]
        followers: tuple[EventThread | EarlyBell, ...] = (*threads, *early)
        for thread in followers:
            thread.start()
        self._await_events(threads)
        try:
            yield
        finally:
            for thread in followers:
                thread.stop()

    def _await_events(self, threads: list[EventThread]) -> None:
        """Let the streams open before everything is read: else it is read again when they do."""
        until = time.monotonic() + SUBSCRIBING
        while time.monotonic() < until and not self._is_interrupted():
            if all(thread.healthy or thread.last_error for thread in threads):
                break
            time.sleep(_POLL)
        self._wakeup.cover()

    def _turn_until_hangup(self) -> None:
        with self._carefully():
            self._after(self._house.reconciler.cycle(frozenset()))
        self._notifier.ready(self._status())
        self._litter.keep()
        due = _Due(resync=time.monotonic() + self._house.settings.podman.resync)
        while not self._is_interrupted():
            rings = self._wakeup.wait(self._patience(due))
            if self._is_interrupted():
                break
            with self._carefully():
                self._turn(rings, due)
                if time.monotonic() >= due.resync + _GRACE:
                    self._look_at_everything(due)
            self._notifier.alive(self._status())
            if not self._wakeup.rung:
                self._litter.sweep()
        if self._hung_up:
            self._read_settings()

    def _patience(self, due: "_Due") -> float:
        reconciler = self._house.reconciler
        moments = (due.resync, due.settle, due.housekeeping, reconciler.due)
        pulse = PULSE if reconciler.view.running.alive else ABSENT
        return max(0.0, min(pulse, self._watchdog(), min(moments) - time.monotonic()))

    def _turn(self, rings: frozenset[Ring], due: "_Due") -> None:
        """Do what is to be done now, the most urgent first; what is not gives way to a ring."""
        reconciler = self._house.reconciler
        now = time.monotonic()
        if rings:
            self._noted(reconciler.cycle(rings), due)
        elif now >= reconciler.retry_due or self._has_to_try():
            self._noted(reconciler.cycle(frozenset({Ring("timer")})), due)  # reads nothing anew
        elif now >= reconciler.due:
            self._noted(reconciler.cycle(frozenset({DUE})), due)
        elif now >= due.resync and not self._house.prepared():
            due.resync = now + _LISTING
        elif now >= due.resync:
            self._look_at_everything(due)
        elif now >= due.settle:
            view = reconciler.settle(interrupted=lambda: self._is_rung_before(due.latest))
            if view:
                self._after(view)
                due.followed(time.monotonic() - now)
        elif now >= due.housekeeping:
            view = reconciler.settle(quiet=True, interrupted=lambda: self._wakeup.rung)
            if view:
                self._after(view)
                due.housekeeping = NEVER

    def _look_at_everything(self, due: "_Due") -> None:
        cycle, begin = self._house.reconciler.cycle, time.monotonic()
        self._noted(cycle(frozenset(), interrupted=lambda: self._wakeup.rung), due)
        now = time.monotonic()
        # Podman's lists were fetched beside the work (`prepared`); what is left of a look still
        # takes long where there are thousands of pods.
        due.resync = now + max(self._house.settings.podman.resync, SELDOM * (now - begin))

    def _noted(self, view: View, due: "_Due") -> None:
        self._after(view)
        settled = self._house.reconciler.settled
        if view.applied or not settled:
            due.happened(time.monotonic(), settled=settled)

    def _is_rung_before(self, latest: float) -> bool:
        return self._wakeup.rung and time.monotonic() < latest

    @contextmanager
    def _carefully(self) -> Iterator[None]:
        """Tell of what should not happen, and do not end for it; what is due waits a while."""
        try:
            yield
        except ProxyctlError:
            raise
        except Exception as error:
            log.exception("a cycle ended in what should not happen")
            self._after(self._house.reconciler.stumbled(error))
            while time.monotonic() < self._retry and not self._is_interrupted():
                time.sleep(ABSENT)
                self._notifier.alive(self._status())

    def _has_to_try(self) -> bool:
        return self._retry_is_due() or self._another_haproxy()

    def _is_interrupted(self) -> bool:
        return self._wakeup.closed or self._hung_up

    def _watchdog(self) -> float:
        return self._notifier.patience / 3 or PULSE

    def _read_settings(self) -> None:
        """Build the house anew; with bad settings the old one stays."""
        self._hung_up = False
        self._notifier.reloading()
        try:
            settings = self._reread()
        except SettingsError as error:
            self._refused = troubles.settings_refused(str(error))
            log.error("the settings were not taken over: %s", error)  # noqa: TRY400
            return
        self._refused = None
        self._save()
        for source in self._house.sources:
            source.close()
        self._house = build(settings, self._folders, read_only=False)
        self._litter.sweep(thorough=True)  # the old house
        log.info("settings read again")

    def _retry_is_due(self) -> bool:
        return bool(self._retry) and time.monotonic() >= self._retry

    def _another_haproxy(self) -> bool:
        """Tell whether HAProxy is another process than the one last observed, or gone."""
        return self._house.proxy.pulse() != self._house.reconciler.view.running.pid

    def _after(self, view: View) -> None:
        logs.tell(view, self._problems)
        self._problems = frozenset(view.problems)
        if view.haproxy_error or view.desired is None:
            fewest, most = RETRY
            self._retry = time.monotonic() + min(most, fewest * 2**self._failures)
            self._failures = min(self._failures + 1, 8)
        else:
            self._retry, self._failures = 0.0, 0
        if self._house.reconciler.settled:
            self._save()
            wanted.tell(Places.of(self._folders).wanted, view.shares, view.settings, view.stock)

    def _save(self) -> None:
        try:
            self._keeper.save(self._house.reconciler.memory)
        except OSError as error:
            log.warning("cannot remember what is served: %s", error)

    def _status(self) -> str:
        view = self._house.reconciler.view
        errors = sum(problem.severity is Severity.ERROR for problem in view.problems)
        routes = sum(len(share.matches) for share in view.shares)
        return f"{routes} routes, {errors} problems"
