"""A container that Podman starts again and again disturbs nobody else."""

import json
import threading
from collections.abc import Iterator
from typing import Any, Self

import pytest
from podman_lab import IMAGE, Lab, eventually
from test_a_labelled_pod_is_served import CONFIG, WEB, wait_for

STABLE = ("--label", "proxyctl.host=a.test", "--label", "proxyctl.port=8080")
LOOP = ("--label", "proxyctl.host=loop.test", "--label", "proxyctl.port=8080")
ENDS_AT_ONCE = "no-port"


def told(lab: Lab) -> dict[str, Any]:
    document = json.loads(lab.proxyctl("--json", "status").stdout)
    assert isinstance(document, dict)
    return document


def starts(lab: Lab) -> int:
    found = told(lab)["flapping"]
    return int(found[0]["starts"]) if found else 0


def taken(lab: Lab) -> dict[str, int]:
    """Return how often HAProxy was told something; that files follow when it is quiet is not."""
    counters = told(lab)["counters"]
    return {kind: counters.get(kind, 0) for kind in ("runtime", "reload", "start", "failed")}


class Load:
    """Requests to the stable pod, one after the other, each on a connection of its own."""

    def __init__(self, lab: Lab) -> None:
        self.answered = 0
        self.failed: list[str] = []
        self._lab, self._over = lab, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                status = self._lab.curl(WEB, host="a.test").status
            except OSError as error:
                self.failed.append(str(error))
                continue
            self.answered += status == 200
            if status != 200:
                self.failed.append(str(status))


@pytest.fixture
def ending(lab: Lab) -> Iterator[None]:
    """Remove the container afterwards: Podman 4.3 fails to while it is just being started."""
    yield
    eventually(lambda: not lab.podman("ps", "-aq", "--filter", "name=loop") or _removed(lab))


def _removed(lab: Lab) -> bool:
    done = lab.run(["podman", "rm", "--force", "--time", "0", "loop"], check=False)
    return done.returncode == 0


@pytest.mark.usefixtures("ending")
def test_a_container_in_a_loop_is_held_back_and_nobody_else_notices(lab: Lab) -> None:
    lab.start_proxyctl(CONFIG)
    lab.pod("a", *STABLE)
    wait_for(lab, "a.test", "a")
    before = taken(lab)

    with Load(lab) as load:
        lab.podman(
            "run", "-d", "--restart", "always", "--name", "loop", *LOOP, IMAGE, ENDS_AT_ONCE
        )
        eventually(lambda: starts(lab) > 8, seconds=40)
        shown = lab.proxyctl("ls").stdout
        explained = lab.proxyctl("explain", "loop").stdout
        done, seen = taken(lab), starts(lab)
        eventually(lambda: starts(lab) > seen + 3, seconds=40)

    after = taken(lab)
    assert load.failed == []
    assert load.answered > 20
    assert after["reload"] == before["reload"]
    assert after == done, "a container that is held back costs no step"
    assert "FLAPPING" in shown
    assert "podman logs loop" in explained
    assert "held back until" in lab.proxyctl("status").stdout
    assert lab.curl(WEB, host="loop.test", timeout=15).status == 503
