"""What `proxyctl acme` says before any CA is asked."""

import json
from pathlib import Path

import pytest

from proxyctl.cli import acme
from proxyctl.files.lock import Lock


@pytest.fixture
def host(config, tmp_path):
    def settings(text="[acme]\nterms-agreed = true\n"):
        with Path(config.path).open("a", encoding="utf-8") as file:
            file.write(text)
        return config.path

    settings.state = tmp_path / "state/proxyctl"
    settings.run = tmp_path / "run/proxyctl"
    return settings


def test_without_the_table_no_ca_is_asked(proxyctl, config):
    code, _, err = proxyctl("-c", config.path, "acme", "run")

    assert code == 78
    assert "no table [acme]" in err


def test_libraries_that_are_missing_are_named(proxyctl, host, monkeypatch):
    monkeypatch.setattr(acme, "find_spec", lambda _: None)
    code, _, err = proxyctl("-c", host(), "acme", "run")

    assert code == 69
    assert "pip install 'podman-proxyctl[acme]'" in err


def test_without_a_list_there_is_nothing_to_do(proxyctl, host):
    code, out, err = proxyctl("-c", host(), "acme", "run")

    assert (code, out) == (0, "")
    assert "wanted.json is not there" in err


def test_an_empty_list_is_nothing_to_do_and_a_status_without_certificates(proxyctl, host):
    (host.run / "acme").mkdir(parents=True)
    (host.run / "acme/wanted.json").write_text('{"version": 1, "certificates": []}')
    code, out, _ = proxyctl("-c", host(), "--json", "acme", "run")

    assert (code, json.loads(out)) == (0, {"issued": [], "problems": []})
    assert json.loads((host.state / "acme/status.json").read_text())["certificates"] == []


def test_who_comes_while_it_is_at_work_is_told_that_nothing_was_done(proxyctl, host):
    lock = Lock(host.state / "acme/lock")
    lock.take()
    code, _, err = proxyctl("-c", host(), "cert", "renew", "a.test")

    assert code == 75
    assert "nothing was done: try again" in err


def test_a_folder_that_cannot_be_made_is_a_problem_and_no_traceback(proxyctl, host):
    host.state.parent.mkdir(parents=True)
    host.state.write_text("a file where a folder should be")
    code, _, err = proxyctl("-c", host(), "acme", "run")

    assert code == 1
    assert err.startswith("error PX609: ")


@pytest.mark.parametrize("name", ["../x", "A.test", "a/b"])
def test_only_names_of_hosts_can_be_revoked(proxyctl, host, name):
    code, _, err = proxyctl("-c", host(), "acme", "revoke", name)

    assert code == 2
    assert "expected a host name" in err


def test_the_help_of_a_verb_tells_its_exit_codes(proxyctl):
    code, out, _ = proxyctl("acme", "run", "--help")

    assert code == 0
    assert "Exit codes" in out
