"""HAProxy as the reconciler sees it: observe, check, apply. Decides nothing.

A step that fails raises; nothing is swallowed, since the next cycle observes the world again.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path

from proxyctl.haproxy import answers, files, observing, program, reloading, runtime, validate
from proxyctl.haproxy.digests import Digests
from proxyctl.haproxy.files import Layout
from proxyctl.haproxy.process import EmbeddedProcess
from proxyctl.haproxy.socket import Conversation, NotListening, RuntimeSocket
from proxyctl.plan.capabilities import Capabilities, capabilities_of
from proxyctl.plan.steps import AddServer, Plan, Reload, Start, Step, WriteFiles
from proxyctl.problems import (
    CommandRejected,
    ConfigRejected,
    HAProxyAbsent,
    HAProxyUnavailable,
    ProxyctlError,
)
from proxyctl.state.model import OldWorker, Quic, Running
from proxyctl.state.render import SECTIONS_MAP

_POLL = 0.02
_REFUSING = 0.5
"""Seconds that a socket may refuse before HAProxy counts as dead: 2.6 does while it reloads."""
_MASTER_TELLS = 0.5
"""Seconds that the master may take to tell of its workers."""
_REMOVAL = 0.3
"""Seconds that all removals of a plan together may wait for connections to end."""


class HAProxy:
    """The HAProxy of a layout, in any of the three modes."""

    def __init__(
        self,
        layout: Layout,
        *,
        binary: str = "haproxy",
        before: Iterable[Path | str] | None = None,
        process: EmbeddedProcess | None = None,
        patience: float = 15.0,
    ) -> None:
        """Use the HAProxy of *layout*.

        `before`: the files that it reads before ours (mode attach); None: ours are all. `process`:
        who starts it in mode embedded; without one, its unit does. `patience`: seconds for a
        reload.
        """
        self.layout = layout
        self._binary = binary
        self._before = None if before is None else tuple(before)
        self._process = process
        self._patience = patience
        self._digests = Digests(layout)
        self._socket = RuntimeSocket(layout.master_socket)
        self._quic = Quic.NONE
        own = layout.worker_socket
        self._worker = RuntimeSocket(own, prefix="") if own else None

    def observe(self) -> Running:
        """Return what HAProxy is now; `alive=False` if nobody listens.

        Raises HAProxyUnavailable if somebody does, and does not answer like a HAProxy.
        """
        begun = time.monotonic()
        while True:
            on_disk = self._digests.read()
            try:
                with self._talk() as talk:
                    running = observing.observe(talk, self.layout, on_disk)
                if running:
                    return running
            except NotListening:
                if self._is_dead() or time.monotonic() > begun + _REFUSING:
                    return Running(alive=False, files=on_disk)
            if time.monotonic() > begun + self._patience:
                raise HAProxyUnavailable("HAProxy was reloaded each time that it was asked")
            time.sleep(_POLL)

    def observe_again(self, known: Running, backends: Collection[str]) -> Running | None:
        """Return what is known, with the servers of *backends* as they are now.

        None if HAProxy is another process by now. Raises HAProxyUnavailable.
        """
        with self._talk() as talk:
            return observing.observe_again(talk, known, backends)

    def observe_files(self, known: Running) -> Running:
        """Return what is known, with the files on disk as they are now."""
        return replace(known, files=self._digests.read())

    def _talk(self) -> AbstractContextManager[Conversation]:
        """Connect to the worker: by its own socket, else (started without one) by the master."""
        if self._worker and self._worker.is_answered():
            return self._worker.open()
        return self._socket.open()

    def pulse(self) -> int:
        """Return the pid of the worker, 0 if nobody answers: cheap enough for every second."""
        try:
            with self._talk() as talk:
                return int(answers.parse_info(talk.ask("show info")).get("Pid", 0))
        except ProxyctlError:
            return 0

    def old_workers(self) -> tuple[OldWorker, ...]:
        """Return the workers that still finish what they had before a reload; () if nobody tells.

        Asks the master only, and not for long: it is for somebody who waits for `status`.
        """
        try:
            told = self._socket.ask_master("show proc", timeout=_MASTER_TELLS)
        except ProxyctlError:
            return ()
        return answers.parse_proc(told).old

    def as_of_now(self, known: Running) -> Running:
        """Return what is known, with the servers' sessions and health as they are now.

        For somebody who asks how it is; unchanged if HAProxy does not answer.
        """
        if not known.alive:
            return known
        try:
            with self._talk() as talk:
                return observing.with_servers_now(talk, known)
        except ProxyctlError:
            return known

    def check(self, texts: Mapping[str, str], give_way: Callable[[], None] = lambda: None) -> None:
        """Let `haproxy -c` read *texts*; raises ConfigRejected, or what `give_way` raises."""
        validate.check(
            texts,
            binary=self._binary,
            layout=self.layout,
            before=self._before,
            give_way=give_way,
        )

    def quic(self) -> Quic:
        """Return what the program has of QUIC: as before, while it is away (an update)."""
        with suppress(HAProxyUnavailable):
            self._quic = program.quic(self._binary)
        return self._quic

    def apply(self, plan: Plan) -> None:
        """Carry the steps out in their order; raises at the first that fails.

        CommandRejected names the step. ConfigRejected means that a reload failed, that the old
        worker goes on, and that the files are again those that it runs.
        """
        removal_until = time.monotonic() + _REMOVAL
        for step in plan.steps:
            try:
                self._do(step, plan, removal_until)
            except CommandRejected as error:
                raise CommandRejected(f"{type(step).__name__}: {error}") from error

    def _do(self, step: Step, plan: Plan, removal_until: float) -> None:
        match step:
            case WriteFiles(names):
                self._write(names, plan)
            case Reload(_, unproven):
                self._reload(unproven)
            case Start(unproven):
                self._start(unproven)
            case _:
                with self._talk() as talk:
                    runtime.do(
                        talk, step, self.layout, texts=plan.texts, removal_until=removal_until
                    )

    def _write(self, names: Iterable[str], plan: Plan) -> None:
        if any(isinstance(step, Reload) for step in plan.steps) and self._disk_is_loaded():
            files.keep_good(self.layout)
        files.write(self.layout, plan.texts, names)

    def _disk_is_loaded(self) -> bool:
        """Tell whether the files on disk are those that run, judged by their sections."""
        with self._talk() as talk:
            return observing.loaded_sections(talk, self.layout) == self._sections_on_disk()

    def _sections_on_disk(self) -> dict[str, str]:
        return answers.parse_map_file(files.read_texts(self.layout).get(SECTIONS_MAP, ""))

    def _reload(self, unproven: Iterable[AddServer]) -> None:
        with self._talk() as talk:
            can = capabilities_of(observing.version(talk))
            state = answers.state_to_keep(talk.ask("show servers state"))
        state = answers.with_down(state, unproven)
        files.write_server_state(self.layout, state)
        said = self._said()
        try:
            expected = self._sections_on_disk()
            reloading.reload(
                self._socket, self.layout, can, expected=expected, patience=self._patience
            )
        except ConfigRejected as error:
            files.restore_good(self.layout)
            alerts = self._alerts_since(said, can)
            raise ConfigRejected(alerts or error.alerts) from error

    def _said(self) -> int:
        return len(self._process.said()) if self._process else 0

    def _alerts_since(self, said: int, can: Capabilities) -> tuple[answers.Alert, ...]:
        """Return what an embedded HAProxy wrote of a reload that it does not report itself."""
        if can.reload_reports or not self._process:
            return ()
        return answers.parse_alerts(self._process.said()[said:], file=str(self.layout.config))

    def _start(self, unproven: Iterable[AddServer]) -> None:
        state = answers.with_down(answers.NO_STATE, unproven)
        files.write_server_state(self.layout, state)
        if self._process:
            self._process.start()
        else:
            self._expect()

    def _expect(self) -> None:
        """Find HAProxy running by now; a unit may take its time, which is not to be waited for."""
        try:
            reloading.expect_worker(self._socket)
        except NotListening as nobody:
            raise HAProxyAbsent(str(nobody)) from nobody

    def _is_dead(self) -> bool:
        if not self.layout.master_socket.exists():
            return True
        return self._process is not None and not self._process.alive()
