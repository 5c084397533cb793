"""What goes wrong with a CA costs no certificate, is told by its number, and ends by itself."""

import fcntl
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from pebble import EAB, Host, answering, front, pebble

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


def later(text):
    """Return in how many minutes a moment of status.json is."""
    return (datetime.fromisoformat(text) - datetime.now(UTC)) / timedelta(minutes=1)


# ---- before the CA is asked ---------------------------------------------------------------------


def test_a_name_that_leads_elsewhere_is_not_asked_for(host):
    with answering(host, lie=b"somebody else"), front(host.ca) as ca:
        ca.changes = {"newOrder": f"{ca.url}/order"}
        host.write_settings(directory=f"{ca.url}/dir")
        code, said = host.acme()

    assert (code, host.problem(), host.status()["state"]) == (1, "PX606", "failed"), said
    assert "/order" not in ca.asked
    assert later(host.status()["next_try"]) <= 1


def test_a_name_without_an_address_is_not_asked_for(host):
    host.write_settings(check_address="")
    host.want(("nowhere.invalid",))
    host.acme()

    assert host.status("nowhere.invalid")["last_error"]["id"] == "PX606"


def test_nobody_at_port_80_is_told(host):
    _, said = host.acme()

    assert host.problem() == "PX606"
    assert "no connection" in said


def test_terms_that_nobody_agreed_to(host):
    host.write_settings(terms_agreed=False)
    with answering(host):
        _, said = host.acme()

    assert host.problem() == "PX601"
    assert "Do%20what%20thou%20wilt" in said  # the address of Pebble's terms


def test_a_mail_address_that_the_ca_refuses(host):
    host.write_settings(email="a..b@example.com")
    with answering(host):
        host.acme()

    assert host.problem() == "PX602"


def test_an_account_key_that_was_cut_off_is_kept_and_told(host):
    with answering(host):
        host.acme()
        before, key = host.pem().read_bytes(), host.account_folder() / "key.pem"
        key.write_bytes(key.read_bytes()[:60])
        host.want((NAME, "more.example.com"))
        code, _ = host.acme()

    assert (code, host.problem(), host.status()["state"]) == (1, "PX603", "renewing")
    assert (host.pem().read_bytes(), len(key.read_bytes())) == (before, 60)


def test_a_ca_that_is_not_there(host):
    host.write_settings(directory="https://127.0.0.1:1/dir")
    host.acme()

    assert host.problem() == "PX604"
    assert later(host.status()["next_try"]) <= 2


@pytest.mark.parametrize("settings", [{"ca_file": ""}, {"ca_file": "/nowhere.pem"}])
def test_a_ca_whose_own_certificate_nobody_trusts(host, settings):
    host.write_settings(**settings)
    host.acme()

    assert host.problem() == "PX604"


def test_what_is_no_directory_of_a_ca(host):
    with front(host.ca) as ca:
        host.write_settings(directory=f"{ca.url}/something")
        host.acme()

    assert host.problem() == "PX604"


def test_clocks_that_differ(host):
    with front(host.ca) as ca, answering(host):
        ca.headers = {"Date": format_datetime(datetime.now(UTC) + timedelta(days=2), usegmt=True)}
        host.write_settings(directory=f"{ca.url}/dir")
        host.acme()

    assert host.problem() == "PX610"


def test_a_wildcard_without_a_hook(host):
    host.want(("*.example.com",))
    with answering(host):
        host.acme()

    assert host.status("*.example.com")["last_error"]["id"] == "PX612"


# ---- the hook -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hook", "said"),
    [
        ("#!/bin/sh\necho no such zone; exit 3\n", "ended with 3: no such zone"),
        ("#!/bin/sh\nsleep 1000\n", "killed"),
        ("not a program", "Exec format error"),
    ],
)
def test_a_hook_that_fails(host, hook, said):
    host.write_hook(hook)
    host.write_settings(challenge="dns-01", hook_timeout=1)
    _, told = host.acme()

    assert host.problem() == "PX611"
    assert said in told


def test_records_of_a_run_that_was_killed_are_removed_by_the_next(host):
    host.write_hook()
    host.want()
    (host.state / "acme").mkdir(parents=True)
    (host.state / "acme/presented.json").write_text('[["_acme-challenge.example.com.", "v"]]')
    host.acme()

    assert host.hook_log.read_text() == "cleanup _acme-challenge.example.com.\n"
    assert not (host.state / "acme/presented.json").exists()


# ---- what the CA says ---------------------------------------------------------------------------


def test_what_the_ca_could_not_validate_waits_and_then_succeeds(host):
    host.write_settings(self_check=0)
    with answering(host, lie=b"somebody else"):
        code, said = host.acme()
        failed = host.status()
        host.acme()
    with answering(host):
        again, why = host.acme("run", "--now")

    assert (code, failed["last_error"]["id"], failed["failures"]) == (1, "PX607", 1), said
    assert 14 < later(failed["next_try"]) <= 15
    assert (again, host.status()["state"], host.status()["failures"]) == (0, "valid", 0), why


def test_a_pause_is_waited_out(host):
    host.write_settings(self_check=0)
    with answering(host, lie=b"somebody else") as web:
        host.acme()
        asked = len(web.asked)
        code, _ = host.acme()

    assert (code, len(web.asked), host.status()["failures"]) == (1, asked, 1)


def test_a_rate_limit_is_respected_as_long_as_the_ca_wants(host):
    limit = {"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many orders"}
    host.want((NAME,), ("other.example.com",))
    with front(host.ca) as ca, answering(host):
        ca.changes = {"newOrder": f"{ca.url}/order"}
        ca.refusal, ca.headers = (429, limit), {"Retry-After": "36000"}
        host.write_settings(directory=f"{ca.url}/dir")
        _, said = host.acme()
        first = ca.asked.count("/order")
        other = host.status("other.example.com")
        host.acme()
        host.acme()

    assert host.problem() == "PX605"
    assert "too many orders" in said
    assert (first, other["state"], other["failures"]) == (1, "waiting", 0)
    assert ca.asked.count("/order") == 2  # the other one, once
    assert 590 < later(host.status()["next_try"]) <= 600


def test_a_ca_in_maintenance_is_left_alone_as_long_as_it_wants(host):
    with front(host.ca) as ca, answering(host):
        ca.changes = {"newAccount": f"{ca.url}/account"}
        ca.refusal, ca.headers = (503, "maintenance"), {"Retry-After": "7200"}
        host.write_settings(directory=f"{ca.url}/dir")
        host.acme()

    assert host.problem() == "PX604"
    assert 110 < later(host.status()["next_try"]) <= 120


@pytest.mark.parametrize("answer", [[], "x", {"status": "new", "authorizations": 5}, {"a": 1}])
def test_answers_that_are_no_acme(host, answer):
    with front(host.ca) as ca, answering(host):
        ca.changes = {"newOrder": f"{ca.url}/order"}
        ca.refusal = (201, answer)
        ca.headers = {"Replay-Nonce": "AAAA", "Location": f"{ca.url}/order/1"}
        host.write_settings(directory=f"{ca.url}/dir")
        code, said = host.acme()

    assert (code, host.problem()[:3]) == (1, "PX6"), said


def test_names_that_the_ca_will_not_issue_for(host):
    refusal = {"type": "urn:ietf:params:acme:error:rejectedIdentifier", "detail": "not public"}
    with front(host.ca) as ca, answering(host):
        ca.changes = {"newOrder": f"{ca.url}/order"}
        ca.refusal = (400, refusal)
        host.write_settings(directory=f"{ca.url}/dir")
        host.acme()

    assert host.problem() == "PX608"


def test_one_that_fails_costs_the_others_nothing(host):
    host.write_settings(check_address="", self_check=1)
    host.write_hook()
    host.want(("nowhere.invalid",), ("*.example.com",))
    code, said = host.acme()

    assert code == 1
    assert host.status("nowhere.invalid")["state"] == "failed"
    assert host.status("*.example.com")["state"] == "valid", said


def test_nonces_that_are_refused_again_and_again(tmp_path):
    with pebble(tmp_path / "ca", PEBBLE_WFE_NONCEREJECT="60") as ca:
        host = Host(tmp_path, ca)
        host.want((NAME,))
        with answering(host):
            code, said = host.acme()

        assert code == 0, said
        host.verified((NAME,))
        assert ca.log().count("badNonce") > 0 or "nonce" in ca.log()


def test_a_ca_that_takes_no_nonce_at_all(tmp_path):
    with pebble(tmp_path / "ca", PEBBLE_WFE_NONCEREJECT="100") as ca:
        host = Host(tmp_path, ca)
        host.want((NAME,))
        host.acme()

        assert host.problem() == "PX604"


def test_a_ca_that_wants_an_account_bound(tmp_path):
    with pebble(tmp_path / "ca", eab=True) as ca:
        host = Host(tmp_path, ca)
        host.want((NAME,))
        with answering(host):
            host.acme()
            without = host.problem()
            host.write_settings(eab_kid="kid-1", eab_hmac="AAAA")
            host.acme("run", "--now")
            wrong = host.problem()
            host.write_settings(eab_hmac=EAB["kid-1"])
            code, said = host.acme("run", "--now")

        assert (without, wrong) == ("PX602", "PX602")
        assert code == 0, said


def test_a_ca_that_forgot_us_gets_a_new_account(tmp_path):
    """Pebble forgets everything when it ends; Let's Encrypt's staging did so too, once."""
    with pebble(tmp_path / "ca") as ca:
        host = Host(tmp_path, ca)
        host.want((NAME,))
        with answering(host):
            host.acme()
            ca.stop()
            ca.start()
            host.want((NAME, "more.example.com"))
            code, said = host.acme()

    assert code == 0, said


def test_two_at_a_time_are_one_too_many(host):
    lock = host.state / "acme/lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        code, _ = host.acme()

    assert code == 75


def test_a_list_that_nobody_understands_is_told_and_keeps_everything(host):
    with answering(host):
        host.acme()
    before = host.pem().read_bytes()
    (host.run_folder / "acme/wanted.json").write_text("{")
    code, said = host.acme()

    assert (code, host.pem().read_bytes()) == (1, before)
    assert "PX613" in said
    assert (
        json.loads((host.state / "acme/status.json").read_text())["problems"][0]["id"] == "PX613"
    )


def test_no_list_yet_is_no_trouble(host):
    (host.run_folder / "acme/wanted.json").unlink()

    assert host.acme()[0] == 0
