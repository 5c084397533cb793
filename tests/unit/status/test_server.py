import http.client
import json
import os
import socket
import stat
import threading
import time

import pytest

from proxyctl.problems import NotPermitted, ProxyctlError
from proxyctl.status import client
from proxyctl.status.server import StatusServer
from tests.unit.status import sample


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "api.sock"


@pytest.fixture
def served(path):
    server = StatusServer(path, sample.view)
    server.start()
    yield path
    server.stop()


def raw(path, method, target):
    connection = client.UnixConnection(path, 5)
    connection.request(method, target)
    response = connection.getresponse()
    found = response.status, response.read()
    connection.close()
    return found


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("/v1/status", "Status"),
        ("/v1/routes", "RouteList"),
        ("/v1/problems", "ProblemList"),
        ("/v1/plan", "Plan"),
        ("/v1/events", "ChangeList"),
        ("/v1/events?since=2", "ChangeList"),
        ("/v1/explain?target=gitea", "Explanation"),
        ("/v1/explain?target=http%3A%2F%2Fgit.example.com%2F", "Explanation"),
        ("/v1/render", "Rendered"),
        ("/v1/render?workload=gitea", "Rendered"),
    ],
)
def test_every_question_has_its_document(served, target, kind):
    assert client.get(served, target)["kind"] == kind


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v1/nosuch", 404),
        ("GET", "/v1/events?since=x", 400),
        ("GET", "/v1/events?since=%D9%A1", 400),
        ("GET", f"/v1/events?since={'9' * 5000}", 400),
        ("GET", "/v1/explain", 400),
        ("POST", "/v1/status", 405),
        ("DELETE", "/v1/routes", 405),
    ],
)
def test_other_questions_get_a_document_that_says_why_not(served, method, target, status):
    found, body = raw(served, method, target)

    assert found == status
    assert json.loads(body)["kind"] == "Error"


def test_words_of_the_service_reach_the_caller(served):
    with pytest.raises(ProxyctlError, match="answered 404: there is no /v1/x"):
        client.get(served, "/v1/x")


def test_only_owner_and_group_may_ask(served):
    assert stat.S_IMODE(served.stat().st_mode) == 0o660


def test_the_view_is_the_one_of_the_moment_of_the_question(path):
    views = [sample.healthy(), sample.view()]
    server = StatusServer(path, lambda: views[-1])
    server.start()
    degraded = client.get(path, "/v1/status")["healthy"]
    views.pop()
    healthy = client.get(path, "/v1/status")["healthy"]
    server.stop()

    assert (degraded, healthy) == (False, True)


def test_a_failure_inside_shows_no_traceback(path):
    def broken():
        raise RuntimeError("secret")

    server = StatusServer(path, broken)
    server.start()
    status, body = raw(path, "GET", "/v1/status")
    server.stop()

    assert status == 500
    assert b"secret" not in body
    assert b"Traceback" not in body


def test_a_dead_socket_is_replaced(path):
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    server = StatusServer(path, sample.view)
    server.start()
    kind = client.get(path, "/v1/status")["kind"]
    server.stop()

    assert kind == "Status"


def test_a_socket_that_answers_is_left_to_the_one_behind_it(served):
    second = StatusServer(served, sample.healthy)

    with pytest.raises(ProxyctlError, match="another proxyctl"):
        second.start()
    assert client.get(served, "/v1/status")["healthy"] is False


def test_after_stop_nothing_is_left_and_it_can_begin_again(path):
    server = StatusServer(path, sample.view)
    server.start()
    idle = http.client.HTTPConnection("x")
    idle.sock = socket.socket(socket.AF_UNIX)
    idle.sock.connect(str(path))
    server.stop()
    server.stop()
    left = [thread.name for thread in threading.enumerate() if thread.name == "status"]
    idle.close()

    assert left == []
    assert not path.exists()
    server.start()
    assert client.get(path, "/v1/status")["kind"] == "Status"
    server.stop()


def test_nobody_on_the_socket_is_a_service_that_does_not_run(path):
    with pytest.raises(client.ServiceNotRunning, match="does not run") as error:
        client.get(path, "/v1/status")

    assert error.value.exit_code == 3


def test_a_service_that_does_not_answer_is_told_from_one_that_is_not_there(path):
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(path))
        silent.listen()
        with pytest.raises(client.ServiceNotRunning, match="does not answer"):
            client.get(path, "/v1/status", timeout=0.05)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_who_may_not_ask_is_told_so(served):
    served.parent.chmod(0o755)
    for parent in served.parent.parents:
        if parent.name.startswith("pytest"):
            parent.chmod(0o755)
    os.seteuid(65534)
    try:
        with pytest.raises(NotPermitted):
            client.get(served, "/v1/status")
    finally:
        os.seteuid(0)


def test_a_server_whose_loop_has_ended_by_itself_can_be_stopped(path):
    server = StatusServer(path, sample.view)
    server.start()
    trigger = server._server.trigger
    trigger.pull_trigger(trigger.close)  # in the loop's own thread: nobody else may close there
    eventually = time.monotonic() + 5
    while not trigger._closed and time.monotonic() < eventually:
        time.sleep(0.01)
    assert trigger._closed

    server.stop()

    assert not path.exists()


def test_the_loop_does_not_close_the_pipe_before_it_was_written_to(path):
    server = StatusServer(path, sample.view)
    server.start()
    trigger = server._server.trigger
    pull, failed = trigger._physical_pull, []

    def pulled_twice():
        pull()  # by a worker, say: the loop runs what it was handed already
        time.sleep(0.1)
        try:
            pull()
        except OSError as error:
            failed.append(error)

    trigger._physical_pull = pulled_twice
    server.stop()

    assert failed == []
