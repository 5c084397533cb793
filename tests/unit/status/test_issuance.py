"""How it stands with certificates from a CA, as the engine tells it and the service shows it."""

import json
from dataclasses import replace

import pytest

from proxyctl.acme import records, report, troubles
from proxyctl.acme.schedule import Judgement, State
from proxyctl.acme.shelf import Shelf
from proxyctl.acme.wishes import Wish
from proxyctl.files import issuance as on_disk
from proxyctl.state.issuance import Report, offer_name, parse
from proxyctl.status import answers
from proxyctl.status.certificates import certificates
from proxyctl.status.explain import explanation
from proxyctl.status.issuance import with_report
from tests.fakes.keyring import NOW, FakeKeyring, offer
from tests.pipeline import decided, pod, running, settings
from tests.unit.status import sample

ACME = """
[acme]
terms-agreed = true
[entrypoints.web]
bind = [":80"]
[entrypoints.websecure]
bind = [":443"]
tls = true
"""
CA = "https://ca.test/dir"
GONE = troubles.unreachable(CA, "connection refused")


def told(*standing, problems=()) -> Report:
    """Return what the engine itself writes of `(name, state, problem)`, as it is read."""
    outlooks = [
        report.Outlook(
            Wish(name=name, hosts=(name,)),
            None,
            records.Record(last_error=problem, failures=1 if problem else 0),
            Judgement(state=state),
        )
        for name, state, problem in standing
    ]
    found = parse(report.document(CA, problems, outlooks))
    assert found
    return found


@pytest.fixture
def view():
    keyring = FakeKeyring.of(replace(offer("a.test", kind="acme"), name="acme@a.test"))
    pods = (pod("a", host="a.test", port="80"), pod("b", host="b.test", port="80"))
    decision = decided(*pods, text=ACME, keyring=keyring)
    return replace(
        sample.healthy(),
        time=NOW,
        settings=settings(ACME),
        claims=decision.translation.claims,
        shares=decision.resolution.shares,
        workloads=pods,
        problems=decision.problems,
        desired=decision.desired,
        rendered=decision.rendered,
        stock=keyring.stock,
        running=running(decision),
    )


def ids(view):
    return [(p["id"], p["severity"]) for p in answers.problems(view)["items"]]


def test_what_the_engine_has_not_seen_yet_waits(view):
    seen = with_report(view, Report())

    assert [(one.name, one.state) for one in seen.issuances] == [
        ("a.test", "waiting"),
        ("b.test", "waiting"),
    ]
    assert answers.status(seen, now=NOW)["certificates"]["from_ca"] == {"waiting": 2}
    assert answers.is_healthy(seen)


def test_a_failure_is_an_error_only_where_there_is_no_good_certificate(view):
    elsewhere = troubles.points_elsewhere("b.test", "b.test", "no answer")

    renewing = with_report(view, told(("a.test", State.RENEWING, GONE)))
    lacking = with_report(view, told(("b.test", State.FAILED, elsewhere)))

    assert (ids(renewing), answers.is_healthy(renewing)) == ([("PX604", "warning")], True)
    assert (ids(lacking), answers.is_healthy(lacking)) == ([("PX606", "error")], False)
    assert answers.routes(lacking)["refused"] == 0, "the workload itself is published"


def test_the_same_trouble_of_many_is_told_once_as_severe_as_the_worst(view):
    seen = with_report(
        view, told(("a.test", State.RENEWING, GONE), ("b.test", State.FAILED, GONE))
    )

    assert ids(seen) == [("PX604", "error")]


def test_what_nobody_wants_any_more_is_not_told(view):
    assert ids(with_report(view, told(("gone.test", State.FAILED, GONE)))) == []


def test_explain_has_the_trouble_of_its_own_hosts_only(view):
    elsewhere = troubles.points_elsewhere("b.test", "b.test", "no answer")
    seen = with_report(
        view, told(("a.test", State.VALID, None), ("b.test", State.FAILED, elsewhere))
    )

    a, b = (explanation(seen, name)["workloads"][0] for name in "ab")

    assert a["problems"] == []
    assert [p["id"] for p in b["problems"]] == ["PX606"]
    assert b["verdict"] == "PUBLISHED"
    assert "renewed in time" in a["routes"][0]["certificates"][0]
    assert "the CA's failed (PX606)" in b["routes"][0]["certificates"][0]


def test_a_row_of_the_list_leads_to_how_it_stands(view):
    document = certificates(with_report(view, told(("a.test", State.VALID, None))))

    assert {row["name"]: row["wanted"] for row in document["items"]}["acme@a.test"] == "a.test"
    assert [one["state"] for one in document["wanted"]] == ["valid", "waiting"]


def test_a_wildcard_is_called_as_the_engine_calls_its_file(tmp_path):
    file = Shelf(tmp_path, tmp_path).certificate("*.a.test")

    assert offer_name("*.a.test") == f"acme@{file.stem}"


@pytest.mark.parametrize("text", [None, "", "[]", '{"certificates": [{"name": 7}]}', "{"])
def test_what_cannot_be_understood_tells_nothing(tmp_path, text):
    path = tmp_path / "status.json"
    if text is not None:
        path.write_text(text)

    assert on_disk.read(path) == Report()


def test_a_newer_engine_may_tell_more(tmp_path):
    path = tmp_path / "status.json"
    path.write_text(
        json.dumps({"certificates": [{"name": "a", "hosts": ["a"], "new": 1}], "x": 2})
    )

    assert on_disk.read(path).certificates[0].name == "a"
