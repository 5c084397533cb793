import json
import stat
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from proxyctl.acme.troubles import points_elsewhere
from proxyctl.cli import acme
from proxyctl.plan.planner import make_plan
from proxyctl.state.issuance import Issuance
from proxyctl.status.explain import explanation
from tests.fakes.authority import Authority
from tests.fakes.keyring import NOW, FakeKeyring, offer
from tests.pipeline import decided, pod, running, settings
from tests.unit.status import sample

TLS = """
[entrypoints.web]
bind = [":80"]
[entrypoints.websecure]
bind = [":443"]
tls = true
"""
CA = Authority()


@pytest.fixture
def view():
    keyring = FakeKeyring.of(
        offer("wild", "*.example.com"), offer("old", "old.test", days=-3), offer("spare", "x.wild")
    )
    pods = (pod("a", host="a.example.com,b.test", port="80"), pod("o", host="old.test", port="80"))
    decision = decided(*pods, text=TLS, keyring=keyring)
    there = running(decision)
    return replace(
        sample.healthy(),
        time=NOW,
        settings=settings(TLS),
        claims=decision.translation.claims,
        shares=decision.resolution.shares,
        workloads=pods,
        problems=decision.problems,
        desired=decision.desired,
        rendered=decision.rendered,
        stock=keyring.stock,
        running=there,
        plan=make_plan(decision.desired, decision.rendered, there),
    )


def test_ls_tells_what_is_served_for_whom_and_until_when(ask, view):
    code, out, _ = ask("cert", "ls", view=view)

    assert code == 0
    assert [" ".join(line.split()) for line in out.splitlines()] == [
        "NAME SERVED FOR EXPIRES DAYS KEY STATE FROM",
        "old old.test 2023-11-11 -3 other EXPIRED /etc/proxyctl/certs/old.pem",
        "spare x.wild 2024-02-12 90 other ok /etc/proxyctl/certs/spare.pem",
        "wild *.example.com 2024-02-12 90 other ok /etc/proxyctl/certs/wild.pem",
        "internal@b.test b.test 2024-11-13 365 other ok made by proxyctl",
        "internal@DEFAULT (no other name) 2024-11-13 365 other ok made by proxyctl",
    ]


def test_no_answer_has_a_key(ask, view):
    for verb in (["cert", "ls"], ["status"], ["render"], ["diff"], ["ls"], ["explain", "a"]):
        for flags in ([], ["--json"]):
            _, out, err = ask(*flags, *verb, view=view)
            assert "PRIVATE" not in out + err


def test_status_and_explain_tell_about_certificates(ask, view):
    assert "certs     5 served, 2 made by proxyctl, old has expired" in ask("status", view=view)[1]
    found = explanation(view, "https://a.example.com/")["lookups"][0]
    assert found["certificate"].startswith("wild      /etc/proxyctl/certs/wild.pem, 90 days")
    out = ask("explain", "a", view=view)[1]
    assert "tls     a.example.com: wild" in out
    assert "b.test: internal@b.test      made by proxyctl" in out
    assert "  tls     wild" in ask("explain", "https://a.example.com", view=view)[1]


def test_without_tls_it_says_that_nothing_is_served(ask):
    code, _, err = ask("cert", "ls")

    assert code == 0
    assert "no entrypoint of config.toml has tls = true" in err


def write(folder: Path, name: str, data: bytes) -> str:
    (folder / name).write_bytes(data)
    return str(folder / name)


def test_import_brings_in_what_fits_together_and_rm_takes_it_out(proxyctl, config, tmp_path):
    key, rest = CA.issue("*.a.test", "a.test").split(b"-----BEGIN CERTIFICATE-----", 1)
    files = [
        write(tmp_path, "x", b"-----BEGIN CERTIFICATE-----" + rest),
        write(tmp_path, "y", key),
    ]

    code, out, _ = proxyctl("-c", config.path, "cert", "import", *files)

    made = Path(config.path).parent / "certs" / "_.a.test.pem"
    assert code == 0
    assert out.startswith(f"{made}: *.a.test, a.test, until ")
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    listed = json.loads(proxyctl("-c", config.path, "--json", "cert", "ls")[1])
    assert [row["name"] for row in listed["items"]] == ["_.a.test"]

    assert proxyctl("-c", config.path, "cert", "import", "--name", "other", *files)[0] == 0
    assert proxyctl("-c", config.path, "cert", "import", *files)[0] == 0
    assert proxyctl("-c", config.path, "cert", "rm", "other")[0] == 0
    assert [path.name for path in made.parent.iterdir()] == ["_.a.test.pem"]


def test_import_of_something_bad_writes_nothing_and_tells_the_fix(proxyctl, config, tmp_path):
    file = write(tmp_path, "x.pem", CA.issue("a.test").split(b"-----BEGIN CERT")[0])

    code, _, err = proxyctl("-c", config.path, "cert", "import", file)

    assert code == 1
    assert "has a key, and no certificate" in err
    assert "fix" in err
    assert not (Path(config.path).parent / "certs").exists()


def test_import_does_not_mix_with_files_of_another_form(proxyctl, config, tmp_path):
    folder = Path(config.path).parent / "certs"
    folder.mkdir()
    write(folder, "a.test.crt", b"x")
    file = write(tmp_path, "x.pem", CA.issue("a.test"))

    code, _, err = proxyctl("-c", config.path, "cert", "import", file)

    assert code == 1
    assert "proxyctl cert rm a.test" in err


def test_rm_knows_what_there_is_and_leaves_folders_alone(proxyctl, config, tmp_path):
    folder = Path(config.path).parent / "certs"
    (folder / "mine").mkdir(parents=True)
    write(folder / "mine", "fullchain.pem", b"x")
    (folder / "linked").symlink_to(folder / "mine")

    assert "there are: linked, mine" in proxyctl("-c", config.path, "cert", "rm", "nix")[2]
    assert "rm -r" in proxyctl("-c", config.path, "cert", "rm", "mine")[2]
    assert proxyctl("-c", config.path, "cert", "rm", "../mine")[0] == 2
    assert proxyctl("-c", config.path, "cert", "rm", "linked")[0] == 0
    assert (folder / "mine" / "fullchain.pem").exists()


def test_ls_tells_how_it_stands_with_those_from_a_ca(ask, view):
    elsewhere = points_elsewhere("new.test", "new.test", "no answer")
    again = datetime.fromtimestamp(NOW + 3600, UTC)
    stands = (
        Issuance(name="old.test", hosts=("old.test",), state="valid", renew_at=again),
        Issuance(
            name="new.test",
            hosts=("new.test",),
            route='pod "n"',
            state="failed",
            next_try=again,
            last_error=elsewhere,
        ),
    )
    seen = replace(view, issuances=stands)

    lines = [" ".join(line.split()) for line in ask("cert", "ls", view=seen)[1].splitlines()]

    assert lines[0] == "NAME SERVED FOR EXPIRES DAYS KEY STATE RENEWS FROM"
    assert lines[-1] == 'new.test new.test - - - FAILED PX606 11-14 23:13 UTC pod "n"'
    assert "acme      1 failed, 1 valid" in ask("status", view=seen)[1]


def test_renew_and_revoke_take_names_as_cert_ls_shows_them(proxyctl, config, monkeypatch):
    asked = []
    monkeypatch.setattr(acme, "run_engine", lambda _, **how: asked.append(how["renew"]))

    assert proxyctl("cert", "renew", "acme@_wildcard.a.test", "b.test")[0] == 0
    assert proxyctl("cert", "renew", "../b")[0] == 2
    assert asked == [["*.a.test", "b.test"]]
    assert proxyctl("-c", config.path, "cert", "rm", "--revoke", "a.test")[0] == 78


def test_renew_of_what_nobody_wants_asks_nobody_and_says_so(proxyctl, config, tmp_path):
    with Path(config.path).open("a", encoding="utf-8") as file:
        file.write("[acme]\nterms-agreed = true\n")
    (tmp_path / "run/proxyctl/acme").mkdir(parents=True)
    wanted = tmp_path / "run/proxyctl/acme/wanted.json"
    wanted.write_text('{"version": 1, "certificates": [{"name": "a.test", "hosts": ["a.test"]}]}')

    code, _, err = proxyctl("-c", config.path, "cert", "renew", "b.test")

    assert code == 1
    assert 'PX617: certificate "b.test" is not wanted' in err
    assert "asking the CA" not in err


def test_the_folder_of_clients_cas_is_no_certificate(proxyctl, config, tmp_path):
    file = write(tmp_path, "x.pem", CA.issue("x.test"))
    certs = Path(config.path).parent / "certs"
    (certs / "ca").mkdir(parents=True)

    taken, _, why = proxyctl("-c", config.path, "cert", "import", "--name", "ca", file)
    removed, _, advice = proxyctl("-c", config.path, "cert", "rm", "ca")

    assert (taken, removed) == (1, 1)
    assert "clients' CAs" in why
    assert "rm -r" not in advice
    assert not (certs / "ca.pem").exists()
