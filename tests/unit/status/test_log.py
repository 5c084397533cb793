import logging

import pytest

from proxyctl.status import log


@pytest.fixture
def logged(capfd):
    """Log a line as the service does, and return it."""
    before = logging.getLogger().handlers[:], logging.getLogger().level

    def write(level, text):
        log.to_stderr()
        logging.getLogger("proxyctl").log(level, text)
        return capfd.readouterr().err

    yield write
    logging.getLogger().handlers[:] = before[0]
    logging.getLogger().setLevel(before[1])


def test_the_level_of_a_problem_is_told_once(logged, monkeypatch):
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)

    assert " warning PX405: pod" in logged(logging.WARNING, "warning PX405: pod x is odd")
    assert " info start: " in logged(logging.INFO, "start: ~ files")
    assert logged(logging.WARNING, "warning PX405: x").count("warning") == 1


def test_under_systemd_every_line_has_its_level(logged, monkeypatch):
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")

    assert logged(logging.ERROR, "error PX101: x\n   where   y") == (
        "<3>error PX101: x\n<3>   where   y\n"
    )
