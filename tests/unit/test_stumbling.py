"""What should not happen costs whom it is about; where nobody is to blame, nothing changes."""

import pytest

from proxyctl.routes import claims
from proxyctl.state import desired
from proxyctl.wakeup import Ring
from tests.fakes.simulated_haproxy import SimulatedHAProxy
from tests.pipeline import pod
from tests.unit.test_reconciler import A, B, FakeSource, routes, service

POISON = pod("poison", "10.88.0.9", host="poison.test", port="80")


@pytest.fixture
def stumbling(monkeypatch):
    """A proxyctl with a mistake of its own, that the labels of one pod bring about."""
    right = claims.claims_of

    def wrong(workload, settings):
        if workload.name == "poison":
            raise RuntimeError("this was not thought of")
        return right(workload, settings)

    monkeypatch.setattr(claims, "claims_of", wrong)


@pytest.mark.usefixtures("stumbling")
def test_a_workload_that_we_stumble_over_is_left_out_and_told():
    proxy = SimulatedHAProxy(alive=False)

    view = service(proxy, FakeSource(A, POISON, B)).cycle(frozenset())

    assert routes(proxy) == {"a.test/": "a", "b.test/": "b"}
    (problem,) = view.problems
    assert (problem.id, problem.subject) == ("PX305", 'pod "poison"')
    assert "RuntimeError: this was not thought of (test_stumbling.py:" in problem.where


@pytest.mark.usefixtures("stumbling")
def test_who_comes_beside_one_that_we_stumble_over_is_served():
    proxy, source = SimulatedHAProxy(alive=False), FakeSource(A)
    reconciler = service(proxy, source)
    reconciler.cycle(frozenset())

    source.workloads.append(POISON)
    reconciler.cycle(frozenset({Ring("podman:", "poison")}))
    source.workloads.append(B)
    view = reconciler.cycle(frozenset({Ring("podman:", "b")}))

    assert "b.test/" in routes(proxy)
    assert [problem.id for problem in view.problems] == ["PX305"]


def test_no_text_that_is_no_word_gets_into_a_backend(monkeypatch):
    """The second wall: as if a type of label let a line break through."""
    monkeypatch.setattr(desired, "_host_header", lambda claim: f"{claim.workload.name}\nevil")
    proxy = SimulatedHAProxy(alive=False)

    view = service(proxy, FakeSource(A)).cycle(frozenset())

    assert "evil" not in proxy.disk["haproxy.cfg"]
    assert [problem.id for problem in view.problems] == ["PX305"]


@pytest.mark.parametrize(
    "text",
    [
        "{{ 1 / 0 }}",
        '{% extends "backend.cfg.j2" %}',
        "{{ [].pop() }}",
        "{{ {}['x'] }}",
        "{% x %}",
    ],
)
def test_a_template_that_fails_in_any_way_is_refused_and_the_last_good_one_stays(text):
    proxy, own = SimulatedHAProxy(alive=False), {}
    reconciler = service(proxy, FakeSource(A), overrides=lambda: dict(own))
    reconciler.cycle(frozenset())
    before = proxy.disk["haproxy.cfg"]

    own["backend.cfg.j2"] = text
    view = reconciler.cycle(frozenset({Ring("files")}))
    view = reconciler.settle()

    assert [problem.id for problem in view.problems] == ["PX302"]
    assert proxy.disk["haproxy.cfg"] == before


def test_a_turn_that_nobody_is_to_blame_for_changes_nothing_and_is_told():
    proxy = SimulatedHAProxy(alive=False)
    reconciler = service(proxy, FakeSource(A))
    reconciler.cycle(frozenset())
    try:
        raise KeyError("what")
    except KeyError as error:
        view = reconciler.stumbled(error)

    assert [problem.id for problem in view.problems] == ["PX306"]
    assert view.haproxy_error
    assert routes(proxy) == {"a.test/": "a"}
    assert reconciler.cycle(frozenset()).problems == ()
