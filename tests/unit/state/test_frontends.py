"""Entrypoints become frontends and maps; what TLS has to do with it."""

from dataclasses import replace

import pytest

from proxyctl.files.templates import packaged
from proxyctl.plan.planner import make_plan
from proxyctl.plan.steps import PutMapEntry, Reload, RemoveMapEntry, WriteFiles
from proxyctl.state.certificates import Stock
from proxyctl.state.frontends import backend_of, leading_to, redirect_of
from proxyctl.state.render import render
from tests.fakes.keyring import NOW, FakeKeyring, offer
from tests.pipeline import decided, pod, running

TLS = """
[haproxy]
mode = "embedded"
[entrypoints.web]
bind = ["127.0.0.1:80"]
[entrypoints.websecure]
bind = ["127.0.0.1:8443"]
tls = true
"""
WEB, SNI = "maps/web.http.map", "maps/websecure.sni.map"
SPARES = (("http", 4), ("sticky", 1), ("tcp", 4))
A = pod("a", host="a.test", port="80")
VAULT = pod("vault", "10.88.0.9", host="vault.test", port="8200", mode="passthrough")


def rows(*workloads, file=WEB, text=TLS, **more):
    decision = decided(*workloads, text=text, **more)
    return dict(next((m.entries for m in decision.desired.maps if m.file == file), ()))


def steps(before, after, *, spares=SPARES, **more):
    """The steps from a HAProxy that is *before* to *after*, without the files."""
    want = decided(*after, text=TLS, spares=spares, **more)
    there = replace(running(decided(*before, text=TLS, spares=spares)), certificates=None)
    plan = make_plan(want.desired, want.rendered, there)
    return [step for step in plan.steps if not isinstance(step, WriteFiles)]


@pytest.mark.parametrize(
    ("labels", "value"),
    [
        ({}, "a"),
        ({"redirect-https": "yes"}, "a|:8443"),
        ({"tls": "internal"}, "a|:8443"),
        ({"tls": "internal", "redirect-https": "no"}, "a"),
        ({"tls": "off"}, "a"),
        ({"entrypoint": "web"}, "a"),
    ],
)
def test_whether_https_is_to_be_used_is_part_of_the_maps_value(labels, value):
    assert rows(pod("a", host="a.test", port="80", **labels)) == {"a.test/": value}


def test_a_host_with_a_certificate_of_a_ca_is_redirected_by_itself():
    keyring = FakeKeyring.of(offer("a.test"), offer("w", "*.w.test"), offer("old.test", days=-1))
    hosts = pod("a", host="a.test,x.w.test,*.w.test,b.test,old.test", port="80")

    assert rows(hosts, keyring=keyring) == {
        "a.test/": "a|:8443",
        "x.w.test/": "a|:8443",
        ".w.test/": "a|:8443",
        "b.test/": "a",
        "old.test/": "a",
    }


def test_another_name_leads_straight_to_where_the_host_is():
    labels = {"redirect-from": "www.a.test", "port": "80", "path": "/x"}
    plain = pod("a", host="a.test", **labels)
    secure = pod("a", host="a.test", **labels, **{"redirect-https": "yes"})

    assert rows(plain)["www.a.test/x/"] == "::to:http://a.test"
    assert rows(secure)["www.a.test/x/"] == "::to:https://a.test:8443"


def test_somebody_elses_frontend_gets_plain_values():
    text = TLS.replace('"embedded"', '"attach"\nfrontends = false')
    labels = {"redirect-from": "b.test", "redirect-https": "yes"}

    assert rows(pod("a", host="a.test", port="80", **labels), text=text) == {"a.test/": "a"}


@pytest.mark.parametrize(
    ("value", "backend", "redirect"),
    [
        ("a", "a", ""),
        ("a|", "a", "https://x.test"),
        ("a|:8443", "a", "https://x.test:8443"),
        ("::to:https://b.test", "", "https://b.test"),
        ("::http-001|:8443", "::http-001", "https://x.test:8443"),
    ],
)
def test_a_value_is_taken_apart_as_the_templates_do(value, backend, redirect):
    assert backend_of(value) == backend
    assert redirect_of(value, "x.test") == redirect
    if backend:
        assert backend_of(leading_to(value, "::http-002")) == "::http-002"


def test_a_redirect_comes_and_goes_without_a_reload():
    redirected = pod("a", host="a.test", port="80", **{"redirect-https": "yes"})

    assert steps([A], [redirected]) == [PutMapEntry(WEB, "a.test/", "a|:8443")]
    assert steps([redirected], [A]) == [PutMapEntry(WEB, "a.test/", "a")]


def test_a_spare_carries_the_redirect_of_a_new_route():
    made = steps([], [pod("a", host="a.test", port="80", **{"redirect-https": "yes"})])

    assert PutMapEntry(WEB, "a.test/", "::http-001|:8443") in made
    assert not any(isinstance(step, Reload) for step in made)


def test_another_name_comes_and_goes_without_a_reload():
    moved = pod("a", host="a.test", port="80", **{"redirect-from": "b.test"})

    assert PutMapEntry(WEB, "b.test/", "::to:http://a.test") in steps([A], [moved])
    assert RemoveMapEntry(WEB, "b.test/") in steps([moved], [A])
    assert not any(isinstance(s, Reload) for s in [*steps([A], [moved]), *steps([moved], [A])])


def test_the_first_route_that_is_passed_on_is_a_reload_and_the_next_is_not():
    second = pod("second", "10.88.0.8", host="second.test", port="1", mode="passthrough")

    (first,) = [step for step in steps([A], [A, VAULT]) if isinstance(step, Reload)]
    then = steps([A, VAULT], [A, VAULT, second])

    assert first.reasons == (
        "frontend websecure:sni is new",
        "backend ::tls:websecure is new",
        "frontend websecure:http changed",
    )
    assert PutMapEntry(SNI, "second.test", "::tcp-001") in then
    assert not any(isinstance(step, Reload) for step in then)


def test_names_that_are_not_passed_on_stand_beside_a_wildcard_that_is():
    wild = pod("wild", host="*.w.test", port="1", mode="passthrough")
    ours = pod("b", host="x.w.test", port="80", **{"redirect-from": "y.w.test"})

    assert rows(A, wild, ours, file=SNI) == {
        ".w.test": "wild",
        "a.test": "::tls:websecure",
        "x.w.test": "::tls:websecure",
        "y.w.test": "::tls:websecure",
    }
    assert rows(A, VAULT, file=SNI) == {"vault.test": "vault"}


def test_a_row_that_leads_to_where_tls_ends_is_put_at_run_time():
    wild = pod("wild", host="*.w.test", port="1", mode="passthrough")
    ours = pod("b", host="x.w.test", port="80")

    assert PutMapEntry(SNI, "x.w.test", "::tls:websecure") in steps([wild], [wild, ours])


def test_an_entrypoint_without_its_ca_does_not_listen_and_the_others_do():
    text = TLS + '[entrypoints.staff]\nbind = [":9443"]\ntls = true\nclient-ca = "staff"\n'
    with_ca = FakeKeyring(Stock(time=NOW, authorities=(("staff", "PEM"),)))

    without, there = decided(A, text=text), decided(A, text=text, keyring=with_ca)

    assert [f.entrypoint for f in without.desired.frontends] == ["web", "websecure"]
    assert [(p.id, p.subject) for p in without.problems] == [("PX426", 'entrypoint "staff"')]
    assert [f.entrypoint for f in there.desired.frontends] == ["staff", "web", "websecure"]
    assert there.problems == ()
    (authority,) = there.desired.authorities
    assert there.rendered.texts[authority.file] == "PEM"


def test_ciphers_are_on_our_own_lines_where_global_is_not_ours():
    made = decided(A, VAULT, text=TLS).desired
    theirs = replace(made, settings=replace(made.settings, owned=False))
    pems = {one.name: "PEM" for one in made.certificates}
    config = render(theirs, packaged(), pems).texts["haproxy.cfg"]

    (bind,) = [line for line in config.splitlines() if " ssl crt-list " in line]
    assert "ssl-min-ver TLSv1.2" in bind
    assert "ECDHE-ECDSA-AES128-GCM-SHA256" in bind
    assert "ssl-default-bind" not in config
