"""A reload whose outcome is known, on every version.

From 2.7 on, `reload` answers after the fact. 2.6 answers nothing and returns before anything has
happened; the socket then refuses for some 100 ms (2 s if a port is taken), and `show proc` of the
master tells how it went: one more reload, one more failure, or another worker.
"""

import time
from collections.abc import Mapping
from contextlib import suppress

from proxyctl.haproxy.answers import (
    Processes,
    parse_alerts,
    parse_info,
    parse_proc,
    succeeded,
)
from proxyctl.haproxy.files import Layout
from proxyctl.haproxy.observing import loaded_sections
from proxyctl.haproxy.socket import NotListening, RuntimeSocket
from proxyctl.plan.capabilities import Capabilities
from proxyctl.problems import CommandRejected, ConfigRejected, HAProxyUnavailable

_POLL = 0.02
_UNTOLD = "HAProxy could not load the configuration, and 2.6 does not tell why: see its log"


def reload(
    master: RuntimeSocket,
    layout: Layout,
    capabilities: Capabilities,
    *,
    expected: Mapping[str, str],
    patience: float,
) -> None:
    """Reload, and return when the new worker answers and has the sections *expected* loaded.

    Raises ConfigRejected if the old worker goes on, HAProxyUnavailable after `patience` seconds.
    """
    deadline = time.monotonic() + patience
    before = parse_proc(master.ask_master("show proc"))
    answer = _tell(master, capabilities, patience)
    if capabilities.reload_reports and not succeeded(answer):
        alerts = parse_alerts(answer, file=str(layout.config))
        raise ConfigRejected(alerts or ((None, answer.strip() or "the reload failed"),))
    _wait_for_another_worker(master, before, deadline)
    _compare(master, layout, expected, deadline)


def _tell(master: RuntimeSocket, capabilities: Capabilities, patience: float) -> str:
    try:
        return master.ask_master("reload", timeout=patience)
    except NotListening:
        raise
    except HAProxyUnavailable:
        if capabilities.reload_reports:
            raise
        return ""  # 2.6 may hang up on us while it starts itself again


def _wait_for_another_worker(master: RuntimeSocket, before: Processes, deadline: float) -> None:
    while time.monotonic() < deadline:
        with suppress(HAProxyUnavailable):  # 2.6 refuses connections while it reloads
            now = parse_proc(master.ask_master("show proc"))
            if now.reloads > before.reloads and now.failed:
                raise ConfigRejected(((None, _UNTOLD),))
            if now.worker not in {0, before.worker}:
                return
        time.sleep(_POLL)
    raise HAProxyUnavailable("HAProxy was told to reload, and no new worker came")


def _compare(
    master: RuntimeSocket, layout: Layout, expected: Mapping[str, str], deadline: float
) -> None:
    while True:
        try:
            with master.open() as talk:
                loaded = loaded_sections(talk, layout)
            break
        except CommandRejected:
            raise
        except HAProxyUnavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL)
    if loaded != dict(expected):
        raise HAProxyUnavailable(f"HAProxy was reloaded, but does not read {layout.config}")


def expect_worker(master: RuntimeSocket) -> None:
    """Return if a worker answers now. Raises HAProxyUnavailable; NotListening without a master."""
    if not parse_info(master.ask(["show info"])[0]).get("Pid"):
        raise HAProxyUnavailable(f"{master.path}: no worker answers")
