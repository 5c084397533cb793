"""A true drain before a stop: nothing new comes, and what is under way is finished."""

import threading

import pytest
from podman_lab import Answer, Lab, LabProcess, eventually
from test_a_labelled_pod_is_served import CONFIG, WEB, served_by, wait_for


@pytest.fixture
def service(lab: Lab) -> LabProcess:
    return lab.start_proxyctl(CONFIG)


def replica(lab: Lab, name: str) -> None:
    labels = ("host=shop.test", "port=8080", "group=shop")
    lab.pod(name, *(word for text in labels for word in ("--label", f"proxyctl.{text}")))


def test_a_drained_pod_gets_nothing_new_and_finishes_what_it_has(
    lab: Lab, service: LabProcess
) -> None:
    replica(lab, "one")
    wait_for(lab, "shop.test", "one")
    answers: list[Answer] = []
    slow = threading.Thread(
        target=lambda: answers.append(lab.curl(f"{WEB}/slow?s=8", host="shop.test", timeout=40))
    )
    slow.start()
    eventually(lambda: '"sessions": 1' in lab.proxyctl("--json", "ls").stdout)
    replica(lab, "two")
    eventually(lambda: {served_by(lab, "shop.test") for _ in range(6)} == {"one", "two"})

    impatient = lab.proxyctl("drain", "one", "--wait", "0.2")
    after = {served_by(lab, "shop.test") for _ in range(6)}
    patient = lab.proxyctl("drain", "one", "--wait", "30")
    slow.join()

    assert (impatient.returncode, patient.returncode) == (1, 0), impatient.stderr + patient.stderr
    assert after == {"two"}
    assert [(a.status, a.json()["pod"]) for a in answers] == [(200, "one")]
    lab.proxyctl("ready", "one")
    eventually(lambda: {served_by(lab, "shop.test") for _ in range(6)} == {"one", "two"})


def test_drain_of_nobody_is_told(lab: Lab, service: LabProcess) -> None:
    eventually(lambda: lab.proxyctl("status").returncode == 0)

    done = lab.proxyctl("drain", "nobody")

    assert done.returncode == 1
    assert "nobody" in done.stderr


def test_a_backup_that_came_later_takes_over_at_once(lab: Lab, service: LabProcess) -> None:
    replica(lab, "main")
    wait_for(lab, "shop.test", "main")
    labels = ("host=shop.test", "port=8080", "group=shop", "backup=true")
    lab.pod("second", *(word for text in labels for word in ("--label", f"proxyctl.{text}")))
    eventually(lambda: "second" in lab.proxyctl("ls").stdout)
    eventually(lambda: lab.proxyctl("diff").returncode == 0)
    before = {served_by(lab, "shop.test") for _ in range(6)}

    lab.podman("pod", "stop", "-t", "0", "main")

    assert before == {"main"}
    assert {served_by(lab, "shop.test") for _ in range(6)} == {"second"}


def test_what_a_stopped_pod_left_unanswered_is_cut_and_not_waited_for(
    lab: Lab, service: LabProcess
) -> None:
    """Podman 4.3 takes a pod's network away first, so that nothing of it reaches HAProxy."""
    replica(lab, "one")
    wait_for(lab, "shop.test", "one")
    answers: list[Answer] = []

    def ask() -> None:
        try:
            answers.append(lab.curl(f"{WEB}/slow?s=30", host="shop.test", timeout=40))
        except OSError as error:
            answers.append(Answer(0, {}, str(error)))

    slow = threading.Thread(target=ask)
    slow.start()
    eventually(lambda: '"sessions": 1' in lab.proxyctl("--json", "ls").stdout)
    lab.podman("pod", "stop", "-t", "1", "one")

    slow.join(timeout=15)

    assert not slow.is_alive()
    assert answers[0].status != 200
