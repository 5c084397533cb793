import os
from pathlib import Path

import pytest

from proxyctl.haproxy.files import Layout
from proxyctl.haproxy.program import quic, require_haproxy
from proxyctl.haproxy.validate import check
from proxyctl.problems import HAProxyUnavailable
from proxyctl.state.model import Quic
from proxyctl.wakeup import Postponed


@pytest.fixture
def program(tmp_path):
    """Write a program that says something when it is asked with -v."""

    def write(said):
        path = tmp_path / "haproxy"
        path.write_text(f"#!/bin/sh\necho '{said}'\n")
        path.chmod(0o755)
        return str(path)

    return write


@pytest.mark.parametrize("said", ["HAProxy version 2.6.12-1 2023", "HAProxy version 3.4-dev1 x"])
def test_a_haproxy_that_is_new_enough_is_taken(program, said):
    require_haproxy(program(said))


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("", "does not call itself HAProxy"),
        ("nginx version: nginx/1.22", "does not call itself HAProxy"),
        ("HA-Proxy version 1.8.19-1 2019", "is HAProxy 1.8, older than 2.6"),
        ("HAProxy version 2.4.0-1 2021", "is HAProxy 2.4, older than 2.6"),
    ],
)
def test_another_program_is_refused_by_the_name_of_the_setting(program, said, why):
    with pytest.raises(HAProxyUnavailable, match=r"haproxy\.binary in config\.toml") as refused:
        require_haproxy(program(said))

    assert why in str(refused.value)


def test_a_program_that_is_replaced_is_asked_again(program):
    with pytest.raises(HAProxyUnavailable):
        require_haproxy(program("nothing"))

    os.utime(program("HAProxy version 3.0.11 x"), (0, 0))
    require_haproxy(program("HAProxy version 3.0.11 x"))


def test_true_accepts_everything_and_is_no_haproxy():
    with pytest.raises(HAProxyUnavailable, match="/bin/true"):
        require_haproxy("/bin/true")


def test_a_check_that_gives_way_is_ended_and_leaves_nothing(program, tmp_path):
    binary = program("HAProxy version 3.0.11 x")
    with Path(binary).open("a", encoding="utf-8") as script:
        script.write('[ "$1" = -v ] || exec sleep 600\n')
    scratch = tmp_path / "run"
    scratch.mkdir()
    layout = Layout(tmp_path / "haproxy", tmp_path / "none.sock", scratch=scratch)

    def give_way():
        raise Postponed

    with pytest.raises(Postponed):
        check({"haproxy.cfg": ""}, binary=binary, layout=layout, give_way=give_way)

    assert list(scratch.iterdir()) == []


def test_no_program_at_all_is_told():
    with pytest.raises(HAProxyUnavailable, match="there is no program 'no-such-haproxy'"):
        require_haproxy("no-such-haproxy")


@pytest.mark.parametrize(
    ("version", "features", "has"),
    [
        ("2.6.12", "+OPENSSL -QUIC +RT", Quic.NONE),
        ("2.9.1", "+OPENSSL +QUIC -QUIC_OPENSSL_COMPAT", Quic.NONE),
        ("3.0.11", "+QUIC +QUIC_OPENSSL_COMPAT", Quic.LIMITED),
        ("3.2.26", "+QUIC -QUIC_OPENSSL_COMPAT +RT", Quic.FULL),
        ("3.10.0", "+QUIC", Quic.FULL),
        ("3.2.26", "-QUIC -QUIC_OPENSSL_COMPAT", Quic.NONE),
    ],
)
def test_what_a_program_has_of_quic_is_asked_of_it(program, version, features, has):
    words = (
        f"HAProxy version {version}-1 2026/10/14\nOPTIONS = USE_QUIC=1\nFeature list : {features}"
    )

    assert quic(program(words)) is has


def test_it_is_asked_once_until_it_is_replaced(program, tmp_path):
    count = tmp_path / "count"
    path = program("HAProxy version 3.2.1\nFeature list : +QUIC")
    Path(path).write_text(Path(path).read_text() + f"echo . >>{count}\n")
    os.utime(path, (1, 1))

    assert [quic(path) for _ in range(5)] == [Quic.FULL] * 5
    assert count.read_text().count(".") == 2  # -v and -vv
    os.utime(program("HAProxy version 3.2.1\nFeature list : -QUIC"), (2, 2))
    assert quic(path) is Quic.NONE
