"""The lab itself: what other tests take for granted. Needs nothing of proxyctl."""

import contextlib
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from podman_lab import Lab, eventually, group_of


def traces(group: str) -> list[str]:
    """Return the cgroups of a lab, and the processes that were started by its scripts."""
    groups = Path("/sys/fs/cgroup")
    found = [str(path) for path in (*groups.glob(group), *groups.glob(f"*/{group}"))]
    for command in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if group in command.read_text(errors="replace"):
                found.append(str(command))
    return found


@pytest.fixture
def another_lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def test_a_pod_answers_at_its_own_address(lab: Lab) -> None:
    lab.pod("gitea", "--ip", "10.88.0.2", ports=(3000, 3001))

    answer = eventually(lambda: lab.curl("http://10.88.0.2:3000/a/b?c=d", host="h.test"), OSError)
    other = lab.curl("http://10.88.0.2:3001/status?c=503", method="POST", body="x" * 70_000)
    told = answer.json()
    assert (answer.status, told["pod"], told["port"]) == (200, "gitea", 3000)
    assert (told["path"], told["headers"]["host"]) == ("/a/b?c=d", "h.test")
    assert (other.status, other.json()["port"], other.json()["method"]) == (503, 3001, "POST")
    assert lab.address("gitea") == "10.88.0.2"


def test_a_stopping_server_finishes_what_it_has_begun(lab: Lab) -> None:
    lab.pod("slow", "--ip", "10.88.0.9")
    eventually(lambda: lab.curl("http://10.88.0.9:8080/"), OSError)
    request = lab.connect("10.88.0.9", 8080)
    request.sendall(b"GET /slow?s=1 HTTP/1.1\r\nHost: h\r\n\r\n")

    lab.podman("kill", "--signal", "TERM", "slow-web")
    answer = b"".join(iter(lambda: request.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 OK")
    with pytest.raises(OSError):
        lab.curl("http://10.88.0.9:8080/")


def test_every_test_starts_without_pods_and_processes(lab: Lab) -> None:
    lab.pod("leftover")
    sleeper = lab.popen(["sh", "-c", "setsid sleep 1234 & exec sleep 1234"])
    lab.clean()

    assert lab.podman("ps", "--all", "--quiet") == ""
    assert lab.podman("pod", "ps", "--quiet") == ""
    assert sleeper.wait() == -signal.SIGKILL
    assert "sleep 1234" not in lab.run(["ps", "ax"]).stdout


def test_writes_to_etc_stay_in_the_lab(lab: Lab) -> None:
    lab.write("/etc/proxyctl/proof", "lab")

    assert lab.run(["cat", "/etc/proxyctl/proof"]).stdout == "lab"
    assert not Path("/etc/proxyctl/proof").exists()


def test_the_api_can_go_away_and_come_back_while_pods_go_on(lab: Lab) -> None:
    lab.pod("steady", "--ip", "10.88.0.3")
    lab.stop_podman_service()

    assert eventually(lambda: lab.curl("http://10.88.0.3:8080/"), OSError).status == 200
    with pytest.raises(AssertionError):
        lab.run(["curl", "-fs", "--unix-socket", lab.socket_path, "http://d/_ping"])
    lab.start_podman_service()
    assert (
        lab.run(["curl", "-s", "--unix-socket", lab.socket_path, "http://d/_ping"]).stdout == "OK"
    )


def test_the_lab_has_no_way_out(lab: Lab) -> None:
    lab.pod("alone")

    assert lab.run(["ip", "route", "show", "default"]).stdout == ""
    assert lab.listening() == set()


def test_nothing_is_left_of_a_stopped_lab(another_lab: Lab) -> None:
    another_lab.pod("gitea")
    group = group_of(another_lab.pid)
    before = traces(group)

    another_lab.stop()
    assert before
    assert traces(group) == []


def test_nothing_is_left_of_a_lab_whose_user_was_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time, podman_lab, pathlib\nlab = podman_lab.Lab(pathlib.Path(sys.argv[1]))\n"
    )
    code += "lab.pod('gitea')\nprint(lab.pid, flush=True)\ntime.sleep(1000)\n"
    user = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path],
        cwd=Path(__file__).parent,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert user.stdout
    pid = int(user.stdout.readline())
    group = group_of(pid)
    assert traces(group)

    user.kill()
    user.communicate()
    eventually(lambda: traces(group) == [])
