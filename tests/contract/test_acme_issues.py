"""Certificates from a real CA (Pebble): got, renewed, taken back."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from pebble import Host, answering, front, pebble

pytestmark = pytest.mark.contract


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    with pebble(tmp_path_factory.mktemp("pebble")) as one:
        yield one


@pytest.fixture
def host(tmp_path, ca):
    return Host(tmp_path, ca)


def test_what_is_wanted_is_issued_as_one_file_that_a_client_verifies(host):
    host.want(("git.example.com", "www.example.com"))
    with answering(host):
        code, said = host.acme()

    assert (code, host.status()["state"]) == (0, "valid"), said
    host.verified(("git.example.com", "www.example.com"))
    assert host.pem().stat().st_mode & 0o777 == 0o600
    assert (host.account_folder() / "key.pem").stat().st_mode & 0o777 == 0o600
    assert list(host.challenges.iterdir()) == []
    assert list((host.state / "acme/orders").iterdir()) == []


def test_it_needs_no_capability_and_no_kind_umask(host, monkeypatch):
    """As in proxyctl-acme.service."""
    plain = host.command
    bare = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
    bare += ["sh", "-c", 'umask 077; exec "$@"', "sh"]
    monkeypatch.setattr(host, "command", lambda *verb: [*bare, *plain(*verb)])
    host.want(("git.example.com",))
    with answering(host):
        code, said = host.acme()

    assert code == 0, said


def test_what_is_there_and_good_is_not_asked_for_again(host):
    host.want(("git.example.com",))
    with answering(host):
        host.acme()
    before = host.pem().read_bytes()
    code, said = host.acme()

    assert (code, host.pem().read_bytes()) == (0, before)
    assert "asking the CA" not in said


def test_other_hosts_are_another_certificate(host):
    host.want(("git.example.com",))
    with answering(host):
        host.acme()
        host.want(("git.example.com", "new.example.com"))
        host.acme()

    host.verified(("git.example.com", "new.example.com"))


def test_only_the_hosts_of_the_settings_get_certificates(host):
    host.write_settings(hosts=["*.ann.example.com"])
    host.want(("git.example.com",), ("git.ann.example.com",))
    with answering(host):
        code, _ = host.acme()

    assert code == 0
    assert (host.status()["state"], host.pem().exists()) == ("excluded", False)
    assert host.status("git.ann.example.com")["state"] == "valid"


def test_an_rsa_key_for_who_wants_it(host):
    host.write_settings(key="rsa2048")
    host.want(("git.example.com",))
    with answering(host):
        host.acme()

    assert host.leaf().public_key().key_size == 2048


def test_a_wildcard_is_proven_by_dns_and_its_records_are_removed(host):
    host.write_hook()
    host.want(("*.example.com", "example.com"))
    with answering(host):
        code, said = host.acme()

    assert code == 0, said
    host.verified(("a.example.com", "example.com"), "_wildcard.example.com")
    record = "_acme-challenge.example.com."
    assert host.hook_log.read_text().split() == ["present", record, "cleanup", record]


def test_every_host_can_be_proven_by_dns(host):
    host.write_hook()
    host.write_settings(challenge="dns-01")
    host.want(("git.example.com", "*.git.example.com"))
    code, said = host.acme()

    assert code == 0, said
    host.verified(("git.example.com", "a.git.example.com"))


def test_a_certificate_is_renewed_when_the_ca_would_like_it(host):
    now = datetime.now(UTC)
    host.want(("git.example.com",))
    with front(host.ca) as ca, answering(host):
        ca.changes = {"renewalInfo": f"{ca.url}/renewal-info"}
        ca.answer = window(now + timedelta(days=9), now + timedelta(days=10))
        host.write_settings(directory=f"{ca.url}/dir")
        host.acme()
        host.acme()
        first, planned = host.serial(), host.status()["renew_at"]
        again = [path for path in ca.asked if path.startswith("/renewal-info/")]
        ca.answer = window(now - timedelta(days=2), now - timedelta(days=1))
        forget_when_to_ask(host)
        code, said = host.acme()

    assert now + timedelta(days=9) <= datetime.fromisoformat(planned) <= now + timedelta(days=10)
    assert len(again) == 1
    assert (code, host.serial() != first) == (0, True), said


def test_a_renewal_says_what_it_replaces_and_does_without_where_the_ca_minds(host):
    now = datetime.now(UTC)
    host.want(("git.example.com",))
    with front(host.ca) as ca, answering(host):
        ca.changes = {"renewalInfo": f"{ca.url}/renewal-info"}
        ca.answer = window(now - timedelta(days=2), now - timedelta(days=1))
        host.write_settings(directory=f"{ca.url}/dir")
        host.acme()
        ca.changes |= {"newOrder": f"{ca.url}/order"}
        ca.refusal = (409, {"type": "urn:ietf:params:acme:error:alreadyReplaced"})
        host.acme()
        host.acme()

    first, second = map(json.loads, ca.payloads)
    asked = [path for path in ca.asked if path.startswith("/renewal-info/")]
    assert f"/renewal-info/{first['replaces']}" == asked[0]
    assert "replaces" not in second


def window(start, end):
    times = {"start": f"{start:%Y-%m-%dT%H:%M:%SZ}", "end": f"{end:%Y-%m-%dT%H:%M:%SZ}"}
    return {"suggestedWindow": times}


def forget_when_to_ask(host):
    """Let the CA be asked for the window now, and not in six hours."""
    file = host.state / "acme/records/git.example.com.json"
    file.write_text(file.read_text().replace('"ask_window":"2', '"ask_window":"1'))


def test_another_ca_than_before_issues_anew(host):
    host.want(("git.example.com",))
    with front(host.ca) as ca, answering(host):
        host.acme()
        first = host.serial()
        host.write_settings(directory=f"{ca.url}/dir")
        host.acme()

    assert host.serial() != first


def test_revoked_is_revoked_at_the_ca_and_replaced_by_another_key(host):
    host.want(("git.example.com",))
    with answering(host):
        host.acme()
        first, key = host.serial(), host.leaf().public_key()
        code, said = host.acme("revoke", "git.example.com", "--reason", "key-compromise")
        served = host.serial()
        host.acme()

    assert (code, served) == (0, first), said
    assert host.ca.status(first) == "Revoked"
    assert host.ca.status(host.serial()) == "Valid"
    assert host.leaf().public_key() != key


def test_what_nobody_wants_any_more_goes_when_it_is_revoked(host):
    host.want(("git.example.com",))
    with answering(host):
        host.acme()
    host.want()
    first = host.serial()
    host.acme("revoke", "git.example.com")

    assert (host.ca.status(first), host.pem().exists()) == ("Revoked", False)


def test_what_is_not_there_cannot_be_revoked(host):
    code, said = host.acme("revoke", "git.example.com")

    assert code == 1
    assert "PX616" in said


def test_the_account_gets_a_new_key_and_goes_on(host):
    host.want(("git.example.com",))
    with answering(host):
        host.acme()
        account = (host.account_folder() / "account.json").read_text()
        old = (host.account_folder() / "key.pem").read_bytes()
        code, said = host.acme("rollover")
        host.want(("git.example.com", "more.example.com"))
        after, why = host.acme()

    assert (code, after) == (0, 0), said + why
    assert (host.account_folder() / "key.pem").read_bytes() != old
    assert (host.account_folder() / "account.json").read_text() == account


@pytest.mark.parametrize("taken", [True, False])
def test_a_rollover_that_was_cut_short_is_found_out(host, taken):
    host.want(("git.example.com",))
    with answering(host):
        host.acme()
        old = (host.account_folder() / "key.pem").read_bytes()
        host.acme("rollover")
        new = (host.account_folder() / "key.pem").read_bytes()
        # As if killed after the CA took the new key; or before it heard of another one.
        (host.account_folder() / "key.pem").write_bytes(old if taken else new)
        (host.account_folder() / "next.pem").write_bytes(new if taken else old)
        host.want(("git.example.com", "more.example.com"))
        code, said = host.acme()

    assert code == 0, said
    assert (host.account_folder() / "key.pem").read_bytes() == new
    assert not (host.account_folder() / "next.pem").exists()


def test_a_lost_account_url_is_found_again_by_the_key(host):
    host.want(("git.example.com",))
    with answering(host):
        host.acme()
        file = host.account_folder() / "account.json"
        account = file.read_text()
        file.unlink()
        host.want(("git.example.com", "more.example.com"))
        host.acme()

    assert file.read_text() == account


def test_a_new_mail_address_is_told_to_the_ca(host):
    host.want(("git.example.com",))
    with answering(host):
        host.acme()
        host.write_settings(email="bob@example.com")
        host.want(("git.example.com", "more.example.com"))
        code, said = host.acme()

    assert code == 0, said
    assert "bob@example.com" in (host.account_folder() / "account.json").read_text()
