"""Podman's file logger writes where we look, what we understand, and is heard when it rotates."""

import time

import pytest

from proxyctl.podman import events_file
from proxyctl.podman.client import PodmanApi
from proxyctl.podman.events import EventThread
from proxyctl.podman.events_file import EarlyBell, guess_path
from proxyctl.wakeup import Wakeup
from tests.e2e.podman_lab import IMAGE, Lab

pytestmark = pytest.mark.e2e

CONF = "/etc/containers/containers.conf"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    made = Lab(tmp_path_factory.mktemp("lab"))
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def _labs_configuration(lab, monkeypatch):
    monkeypatch.setattr(events_file, "_SYSTEM_CONF", (str(lab.outside(CONF)),))


@pytest.fixture
def follow(lab):
    """Start an early bell on the file of the lab's Podman, wherever it is guessed to be."""
    bells = []

    def started(wakeup):
        path = guess_path(0, {})
        assert path is not None
        bells.append(EarlyBell("early", wakeup, lab.outside(str(path))))
        bells[-1].start()
        return path

    yield started
    for bell in bells:
        bell.stop()


def heard(wakeup, wanted, source="podman:early"):
    """Return all that was rung until `wanted` was."""
    rung = set()
    deadline = time.monotonic() + 20
    while wanted not in rung and time.monotonic() < deadline:
        rung |= {ring.changed for ring in wakeup.wait(1) if ring.source == source}
    assert wanted in rung
    return rung


def test_the_life_of_a_pod_rings_as_it_does_on_the_api(lab, follow):
    early, late = Wakeup(), Wakeup()
    path = follow(early)
    stream = EventThread("api", lambda: PodmanApi(str(lab.outside(lab.socket_path))), late)
    stream.start()
    heard(late, "", "podman:api")
    lab.pod("life")
    lab.podman("exec", "life-web", "/bin/sh", "-c", ":")
    lab.podman("pod", "rm", "-f", "-t", "0", "life")
    end = lab.podman("create", IMAGE)
    by_file, by_stream = heard(early, end), heard(late, end, "podman:api")
    stream.stop()

    assert str(path) == "/run/libpod/events/events.log"
    assert by_file == by_stream - {""}


def test_another_file_in_the_configuration_is_found_and_heard_over_its_rotations(lab, follow):
    drop_in = "/etc/containers/containers.conf.d/events.conf"
    lab.write(
        drop_in,
        '[engine]\nevents_logfile_path = "/run/other/events.log"\n'
        'events_logfile_max_size = "5k"\n',
    )
    lab.run(["mkdir", "-p", "/run/other"])
    wakeup = Wakeup()
    path = follow(wakeup)
    inodes = set()
    for _ in range(12):
        # A rotation can have the event itself in the file that rings for everything.
        first, second = lab.podman("create", IMAGE), lab.podman("create", IMAGE)
        lab.podman("rm", first, second)
        inodes.add(lab.outside(str(path)).stat().st_ino)
        rung = set()
        while not ({second, ""} & rung):
            rung |= {ring.changed for ring in wakeup.wait(20)}
            assert rung
    lab.outside(drop_in).unlink()

    assert str(path) == "/run/other/events.log"
    assert len(inodes) > 1
