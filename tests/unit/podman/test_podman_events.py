import json
import threading
import time
from pathlib import Path

import pytest

from proxyctl.podman.client import PodmanApi
from proxyctl.podman.events import EventError, EventThread, bell, split_lines
from proxyctl.wakeup import Wakeup
from tests.fakes.podman_api import FakePodman

DATA = Path(__file__).parent / "data"


@pytest.fixture
def podman(tmp_path):
    with FakePodman(tmp_path / "podman.sock") as fake:
        yield fake


@pytest.fixture
def wakeup():
    return Wakeup(quiet=0.01, patience=0.05)


@pytest.fixture
def thread(podman, wakeup):
    thread = EventThread("main", lambda: PodmanApi(podman.url, patience=2), wakeup)
    thread.start()
    yield thread
    thread.stop()


def rung(wakeup, wanted):
    """Return once `wanted` was rung; what else was rung is let go."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if wanted in {ring.changed for ring in wakeup.wait(1) if ring.source == "podman:main"}:
            return True
    return False


@pytest.mark.parametrize("recording", sorted(DATA.glob("*.jsonl")), ids=lambda path: path.stem)
def test_recorded_streams_ring_for_all_but_images_and_execs(recording):
    events = [json.loads(line) for line in recording.read_text().splitlines()]
    silent = {(event["Type"], event["Action"]) for event in events if bell(event) is None}

    assert silent <= {
        ("container", "exec"),
        ("container", "exec_died"),
        ("image", "pull"),
        ("image", "build"),
        ("network", "create"),
        ("network", "remove"),
    }
    for event in events:
        assert bell(event) in (None, event["Actor"]["ID"])


def test_an_unknown_action_rings_and_an_unknown_type_rings_for_everything():
    assert bell({"Type": "container", "Action": "teleport", "Actor": {"ID": "c"}}) == "c"
    assert bell({"Type": "planet", "Action": "create", "Actor": {"ID": "x"}}) == ""
    assert bell({"Type": "system", "Action": "log-rotation", "Actor": {"ID": ""}}) == ""


def test_an_error_inside_the_stream_is_an_error():
    with pytest.raises(EventError, match="no such logger"):
        bell({"cause": "x", "message": "no such logger", "response": 500})


def test_lines_are_put_together_whatever_the_pieces():
    rest = bytearray()
    text = b'{"a":1}\n\n{"b":"' + b"x" * 200_000 + b'"}\n{"c"'
    pieces = [text[at : at + 4096] for at in range(0, len(text), 4096)]
    lines = [line for piece in pieces for line in split_lines(rest, piece)]

    assert [len(line) for line in lines] == [7, 200_008]
    assert rest == b'{"c"'


def test_a_connection_rings_for_everything_and_an_event_for_its_object(podman, wakeup, thread):
    assert rung(wakeup, "")
    podman.emit("container", "start", "c1", attributes={"label": "x" * 200_000})

    assert rung(wakeup, "c1")
    assert thread.healthy


def test_stop_ends_a_silent_stream_at_once(wakeup, thread):
    assert rung(wakeup, "")
    thread.stop()

    assert not thread.is_alive()
    assert not thread.healthy


def test_a_restarted_podman_is_followed_again(podman, wakeup, thread):
    assert rung(wakeup, "")
    podman.stop()
    assert rung(wakeup, "")
    podman.start()
    assert rung(wakeup, "")
    podman.emit("pod", "stop", "p1")

    assert rung(wakeup, "p1")


def test_the_socket_may_come_later(tmp_path, wakeup):
    podman = FakePodman(tmp_path / "late.sock")
    thread = EventThread("main", lambda: PodmanApi(podman.url), wakeup)
    thread.start()
    while not thread.last_error:
        threading.Event().wait(0.01)

    assert "podman.socket" in thread.last_error
    with podman:
        assert rung(wakeup, "")
        assert thread.last_error == ""
        thread.stop()


@pytest.mark.parametrize(
    "line", [b'{"cause":"x","message":"m","response":500}\n', b"garbage\n", b"[]\n"]
)
def test_nonsense_in_the_stream_opens_it_again(podman, wakeup, thread, line):
    assert rung(wakeup, "")
    podman.emit_raw(line)
    assert rung(wakeup, "")
    while podman.requests.count("events") < 2:
        threading.Event().wait(0.01)
    podman.emit("container", "start", "c1")

    assert rung(wakeup, "") or thread.healthy


def test_the_end_of_a_stream_rings_for_everything_and_opens_it_again(podman, wakeup, thread):
    assert rung(wakeup, "")
    podman.end_streams()

    assert rung(wakeup, "")
    while podman.requests.count("events") < 2:
        threading.Event().wait(0.01)
