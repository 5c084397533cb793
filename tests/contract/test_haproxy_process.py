"""An embedded HAProxy outlives us, is found again, and is never there twice."""

import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress

import pytest
from real_haproxy import BINARY, ended, eventually, lab

from proxyctl.haproxy.files import write
from proxyctl.haproxy.process import EmbeddedProcess
from proxyctl.haproxy.proxy import HAProxy
from proxyctl.plan.steps import Plan, Start
from proxyctl.problems import HAProxyUnavailable

pytestmark = pytest.mark.contract


@pytest.fixture
def running(tmp_path):
    with lab(tmp_path) as one:
        one.start()
        yield one


def test_a_running_haproxy_is_adopted_and_not_started_again(running):
    again = EmbeddedProcess(running.layout, binary=BINARY)
    again.start()

    assert again.adopted
    assert again.pid == running.process.pid
    assert not running.process.adopted


def test_a_haproxy_is_found_by_its_socket_if_its_pidfile_is_lost(running):
    running.process.pidfile.unlink()
    again = EmbeddedProcess(running.layout, binary=BINARY)
    again.start()

    assert again.adopted
    assert again.pid == running.process.pid


def test_haproxy_outlives_the_one_who_started_it(tmp_path):
    with lab(tmp_path) as one:
        texts = one.texts()
        write(one.layout, texts, texts)
        script = (
            "import sys; from pathlib import Path\n"
            "from proxyctl.haproxy.files import Layout\n"
            "from proxyctl.haproxy.process import EmbeddedProcess\n"
            "layout = Layout(Path(sys.argv[1]), Path(sys.argv[2]))\n"
            "process = EmbeddedProcess(layout, binary=sys.argv[3]); process.start()\n"
            "print(process.pid)"
        )
        arguments = [str(one.layout.folder), str(one.layout.master_socket), BINARY]
        parent = subprocess.run(
            [sys.executable, "-c", script, *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
        one.process.start()

        assert one.process.adopted
        assert one.process.pid == int(parent.stdout)
        assert one.fetch() == (200, "one")


def test_a_worker_that_is_killed_takes_the_master_along_and_a_start_brings_both_back(running):
    first = running.process.pid
    os.kill(running.proxy.observe().pid, signal.SIGKILL)

    assert eventually(lambda: not running.process.alive())
    assert running.proxy.observe().alive is False
    assert running.proxy.observe().files
    running.proxy.apply(Plan((Start(),)))
    assert running.process.alive()
    assert running.process.pid != first
    assert running.fetch() == (200, "one")


def test_what_a_dead_haproxy_left_is_replaced(running):
    os.kill(running.process.pid, signal.SIGKILL)
    assert eventually(lambda: not running.process.alive())
    assert running.layout.master_socket.exists()

    running.process.start()

    assert not running.process.adopted
    assert running.proxy.observe().alive


def test_a_pidfile_of_another_process_is_not_believed(tmp_path):
    with lab(tmp_path) as one:
        one.layout.folder.mkdir()
        one.process.pidfile.write_text(str(os.getpid()))

        assert not one.process.alive()
        one.process.stop()
        assert one.process.pid == 0


def test_stop_ends_master_and_worker(running):
    master, worker = running.process.pid, running.proxy.observe().pid
    running.process.stop()

    assert ended(master)
    assert eventually(lambda: ended(worker))
    assert not running.layout.master_socket.exists()


def test_a_haproxy_that_is_missing_is_an_error_of_its_own(tmp_path):
    with lab(tmp_path) as one, pytest.raises(HAProxyUnavailable, match="no-such-haproxy"):
        EmbeddedProcess(one.layout, binary="no-such-haproxy").start()


def test_a_stranger_on_the_socket_is_not_a_haproxy_that_is_down(tmp_path):
    with lab(tmp_path) as one, socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(str(one.layout.master_socket))
        stranger.listen()
        stranger.settimeout(10)

        def answer() -> None:
            with suppress(OSError):  # whoever asked may be gone again
                connection, _ = stranger.accept()
                connection.recv(100)
                connection.sendall(b"220 smtp ready\r\n")
                connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(HAProxyUnavailable):
            HAProxy(one.layout, binary=BINARY).observe()
        thread.join()


def test_an_old_socket_where_nobody_listens_means_that_haproxy_is_down(tmp_path):
    with lab(tmp_path) as one:
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(one.layout.master_socket))

        assert one.proxy.observe().alive is False
