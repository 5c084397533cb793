import os
import time

import pytest

from proxyctl.haproxy import digests, files
from proxyctl.haproxy.digests import Digests
from proxyctl.haproxy.files import Layout
from proxyctl.state.digest import digest

CONFIG = "haproxy.cfg"


@pytest.fixture
def layout(tmp_path):
    one = Layout(tmp_path / "haproxy", tmp_path / "master.sock")
    texts = {CONFIG: "global\n", "maps/web.map": "a b\n"}
    files.write(one, texts, texts)
    return one


@pytest.fixture
def later(monkeypatch):
    """Make every file an hour old, for whoever asks how late it is."""
    monkeypatch.setattr(digests.time, "time_ns", lambda now=time.time_ns: now() + 3600 * 10**9)


@pytest.fixture
def reads(monkeypatch):
    """Return the names of the files that are read, as they are read."""
    seen = []
    real = files.read
    monkeypatch.setattr(files, "read", lambda path: seen.append(path.name) or real(path))
    return seen


def test_files_that_are_as_they_were_are_not_read_again(layout, later, reads):
    one = Digests(layout)
    before = one.read()
    reads.clear()

    assert one.read() == before
    assert reads == []


def test_a_file_that_has_just_changed_is_read_again(layout, reads):
    one = Digests(layout)
    one.read()
    reads.clear()

    one.read()

    assert reads == [CONFIG, "web.map"]


def test_a_rewrite_in_place_that_keeps_size_and_mtime_is_seen(layout, later, reads):
    one = Digests(layout)
    one.read()
    before = layout.config.stat()
    reads.clear()
    _wait_for_a_tick(layout)
    layout.config.write_text("GLOBAL\n")
    os.utime(layout.config, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert one.read()[CONFIG] == digest("GLOBAL\n")
    assert reads == [CONFIG]


def test_another_file_in_its_place_is_seen(layout, later):
    one = Digests(layout)
    one.read()
    files.write(layout, {CONFIG: "GLOBAL\n"}, [CONFIG])

    assert one.read()[CONFIG] == digest("GLOBAL\n")


def test_files_that_come_and_go_are_seen(layout, later):
    one = Digests(layout)
    one.read()
    files.write(layout, {"maps/tcp.map": "x y\n"}, ["maps/tcp.map", "maps/web.map"])

    assert one.read().keys() == {CONFIG, "maps/tcp.map"}


def _wait_for_a_tick(layout):
    """Return when the file system's clock has moved on: within a tick nobody could tell."""
    probe = layout.folder / "probe"
    while True:
        probe.touch()
        if probe.stat().st_ctime_ns > layout.config.stat().st_ctime_ns:
            return
