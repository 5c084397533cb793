"""Killed at any moment, or on a full disk, it ends well, and no certificate is lost."""

import json
import subprocess

import pytest
from pebble import HOOK, Host, answering, eventually, pebble

pytestmark = pytest.mark.contract

NAME = "git.example.com"


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    with pebble(tmp_path_factory.mktemp("pebble")) as one:
        yield one


@pytest.fixture
def host(tmp_path, ca):
    one = Host(tmp_path, ca)
    one.want((NAME,))
    return one


MOMENTS = {
    "the account has a key": ["acme/accounts/*/key.pem"],
    "the account is there": ["acme/accounts/*/account.json"],
    "the certificate has a key": ["acme/orders/*.key"],
    "it is ordered": ["acme/records/*.json"],
    "the CA looks for the token": ["acme/records/*.json", "TOKEN"],
    "it is there": ["certs/acme/*.pem"],
}


@pytest.fixture(scope="module")
def slow_ca(tmp_path_factory):
    """Return a CA that takes up to two seconds to validate, so that there is time to be killed."""
    folder = tmp_path_factory.mktemp("slow")
    with pebble(folder, PEBBLE_VA_NOSLEEP="", PEBBLE_VA_SLEEPTIME="2") as one:
        yield one


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_any_moment_it_ends_well(tmp_path, slow_ca, moment):
    host = Host(tmp_path, slow_ca)
    host.want((NAME,))
    with answering(host):
        process = host.begin()
        seen = eventually(lambda: all(map(host.has, MOMENTS[moment])), 30)
        process.kill()
        process.communicate()
        assert seen
        key = host.state / f"acme/orders/{NAME}.key"
        ordered = (host.state / f"acme/records/{NAME}.json").exists() and key.exists()
        kept = key.read_bytes() if ordered else b""
        code, said = host.acme()

    assert (code, host.status()["state"]) == (0, "valid"), said
    host.verified((NAME,))
    assert host.pem().read_bytes().startswith(kept)  # the order that was there was used
    assert list(host.challenges.iterdir()) == []
    assert list((host.state / "acme/orders").iterdir()) == []


def test_killed_again_and_again_it_ends_well(tmp_path, slow_ca):
    host = Host(tmp_path, slow_ca)
    host.want((NAME,), ("second.example.com", "third.example.com"))
    with answering(host):
        for tenths in range(6, 36, 5):
            process = host.begin()
            try:
                process.wait(tenths / 10)
            except subprocess.TimeoutExpired:
                process.kill()
            process.communicate()
        code, said = host.acme("run", "--now")

    assert code == 0, said
    host.verified((NAME,))
    host.verified(("second.example.com", "third.example.com"), "second.example.com")


def test_what_was_issued_and_could_not_be_written_is_fetched_by_the_same_order(host):
    host.write_hook(
        HOOK + f"import os\nos.mkdir({str(host.pem())!r})\n"
    )  # where the file should be
    host.write_settings(challenge="dns-01")
    host.acme()
    key = (host.state / f"acme/orders/{NAME}.key").read_bytes()
    first = host.problem()
    host.pem().rmdir()
    host.write_hook("#!/bin/sh\nexit 1\n")  # it is not needed again
    code, said = host.acme("run", "--now")

    assert (first, code) == ("PX609", 0), said
    assert host.pem().read_bytes().startswith(key)


def test_a_failure_is_over_when_what_is_there_is_what_is_wanted(host):
    with answering(host):
        host.acme()
    host.want((NAME, "more.example.com"))
    before, _ = host.acme()
    host.want((NAME,))
    after, said = host.acme()

    assert (before, after) == (1, 0), said
    assert (host.status()["state"], host.status()["last_error"]) == ("valid", None)


def test_a_file_that_cannot_be_read_costs_the_others_nothing(host):
    host.pem().mkdir(parents=True)
    host.want((NAME,), ("other.example.com",))
    with answering(host):
        code, _ = host.acme()

    assert (code, host.problem()) == (1, "PX609")
    assert host.status("other.example.com")["state"] == "valid"


def test_an_order_that_brought_what_is_there_is_forgotten(host):
    with answering(host):
        host.acme()
    record = host.state / f"acme/records/{NAME}.json"
    order = {"url": "https://127.0.0.1/1", "directory": host.ca.directory, "hosts": [NAME]}
    record.write_text(json.dumps({"directory": host.ca.directory, "order": order}))
    (host.state / f"acme/orders/{NAME}.key").write_text("the key of the last order")
    host.acme()

    assert json.loads(record.read_text())["order"] is None
    assert list((host.state / "acme/orders").iterdir()) == []


FULL = """\
mount -t tmpfs -o size=64k none {state} || exit 99
mkdir -p {state}/proxyctl && cp -a {kept}/. {state}/proxyctl/
dd if=/dev/zero of={state}/ballast bs=1k count=1000 2>/dev/null
"$@"
code=$?
rm {state}/ballast
find {state}/proxyctl
"$@" --now && cp {state}/proxyctl/certs/acme/*.pem {folder}/after.pem
exit $code
"""


def test_on_a_full_disk_nothing_is_lost_and_room_is_enough(host):
    """The disk is a tmpfs of 64 kB in a mount namespace of its own."""
    kept = host.folder / "kept"
    kept.mkdir()
    (host.folder / "state").mkdir()
    script = FULL.format(state=host.folder / "state", kept=kept, folder=host.folder)
    with answering(host):
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", script, "sh", *host.command("run")],
            env=host.environment,
            check=False,
            text=True,
            capture_output=True,
        )

    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "PX609" in said
    assert "Traceback" not in said
    assert (host.folder / "after.pem").exists(), said
