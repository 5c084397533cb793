"""Mode own: HAProxy comes and goes with its unit, and proxyctl tells at once how it fares."""

import json
import signal
from typing import Any

from podman_lab import Lab, LabProcess, eventually
from test_a_labelled_pod_is_served import wait_for
from test_the_units_permissions import start_command

CONFIG = """
[haproxy]
mode = "own"
[entrypoints.web]
bind = ["127.0.0.1:8080"]
[podman]
resync = 600
"""
"""Nothing is read again but for a reason."""
A = ("--label", "proxyctl.host=a.test", "--label", "proxyctl.port=8080")


def start_haproxy(lab: Lab) -> LabProcess:
    """Start it as its unit does, once its file is there."""
    lab.run(["mkdir", "-p", "/run/proxyctl-haproxy"])
    eventually(lambda: lab.read("/run/proxyctl/haproxy/haproxy.cfg"), OSError)
    return lab.popen(start_command())


def told(lab: Lab) -> dict[str, Any]:
    document = json.loads(lab.proxyctl("--json", "status").stdout)
    assert isinstance(document, dict)
    return document


def test_before_haproxy_is_there_status_says_which_unit_and_then_it_is_filled(lab: Lab) -> None:
    lab.start_proxyctl(CONFIG)
    lab.pod("a", *A)
    eventually(lambda: "a.test" in lab.proxyctl("ls").stdout)

    missing = lab.proxyctl("status")
    start_haproxy(lab)

    assert missing.returncode == 1
    assert "PX303" in missing.stdout
    assert "systemctl start proxyctl-haproxy" in missing.stdout
    wait_for(lab, "a.test", "a")
    eventually(lambda: told(lab)["healthy"])


def test_a_master_that_is_killed_is_told_and_its_successor_is_adopted(lab: Lab) -> None:
    lab.start_proxyctl(CONFIG)
    lab.pod("a", *A)
    haproxy = start_haproxy(lab)
    wait_for(lab, "a.test", "a")
    eventually(lambda: told(lab)["healthy"])

    haproxy.signal(signal.SIGKILL)
    haproxy.wait()
    eventually(lambda: not told(lab)["healthy"], seconds=10)
    dead = told(lab)
    start_haproxy(lab)

    assert (dead["haproxy"]["alive"], dead["haproxy"]["pid"]) == (False, 0)
    assert [problem["id"] for problem in dead["problems"]] == ["PX303"]
    wait_for(lab, "a.test", "a")
    eventually(lambda: told(lab)["healthy"])


def test_the_time_that_the_service_is_up_goes_on_between_cycles(lab: Lab) -> None:
    lab.start_proxyctl(CONFIG)
    start_haproxy(lab)
    first = eventually(lambda: told(lab) if told(lab)["healthy"] else None)

    eventually(lambda: told(lab)["uptime"] > first["uptime"] + 1)


def test_apply_beside_a_haproxy_that_does_not_run_says_so(lab: Lab) -> None:
    lab.write("/etc/proxyctl/config.toml", CONFIG.replace('"own"', '"attach"'))
    lab.pod("a", *A)

    done = lab.proxyctl("apply")

    assert done.returncode == 69, done.stdout + done.stderr
    assert "systemctl start haproxy" in done.stdout
