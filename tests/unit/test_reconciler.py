from dataclasses import replace

import pytest

from proxyctl.daemon import exit_code
from proxyctl.files import templates
from proxyctl.files.memory import Memory
from proxyctl.plan.steps import PutCertificate, PutMapEntry, Reload, SetServerAddress, Start
from proxyctl.problems import ConfigRejected, SourceUnavailable
from proxyctl.reconciler import DUE, Reconciler
from proxyctl.state.model import Global, Quic
from proxyctl.wakeup import Ring
from tests.fakes.keyring import FakeKeyring, offer
from tests.fakes.simulated_haproxy import SimulatedHAProxy
from tests.pipeline import FOLDER, SETTINGS, pod, settings, stopped

A = pod("a", "10.88.0.2", host="a.test", port="80")
B = pod("b", "10.88.0.3", host="b.test", port="80")


class FakeSource:
    """What a Podman would tell; the real one is in the e2e tests."""

    def __init__(self, *workloads, key="podman:"):
        self.key, self.where, self.problems = key, "/run/podman/podman.sock", ()
        self.unsure = frozenset()
        self.workloads, self.away, self.asked = list(workloads), False, []

    def read(self, changed):
        self.asked.append(changed)
        if self.away:
            raise SourceUnavailable("nobody listens")
        return tuple(self.workloads)


def service(
    proxy,
    *sources,
    memory=Memory(),
    overrides=dict,
    keyring=None,
    text=SETTINGS,
    clock=lambda: 0.0,
    spares=(),
):
    return Reconciler(
        settings=settings(text),
        sources=sources,
        proxy=proxy,
        overrides=overrides,
        identity=Global(folder=FOLDER, cookie_key="k", spares=spares),
        memory=memory,
        keyring=keyring or FakeKeyring(),
        now=lambda: 1000.0,
        clock=clock,
    )


def decided(reconciler):
    """Count the decisions about everything: each is a turn of what is remembered."""
    return reconciler._admission._recent.turns


def routes(proxy):
    return proxy.maps["maps/web.http.map"]


def test_the_first_cycle_starts_haproxy_with_every_route():
    proxy = SimulatedHAProxy(alive=False)

    view = service(proxy, FakeSource(A, B)).cycle(frozenset())

    assert routes(proxy) == {"a.test/": "a", "b.test/": "b"}
    assert isinstance(proxy.steps[-1], Start)
    assert view.plan.steps == ()
    assert view.counters == {"start": 1}


def test_a_haproxy_whose_unit_is_stopped_is_told_and_has_its_files_when_it_comes():
    proxy = SimulatedHAProxy(alive=False, absent=True)
    reconciler = service(proxy, FakeSource(A))

    view = reconciler.cycle(frozenset())
    proxy.fill()
    after = reconciler.cycle(frozenset({Ring("timer")}))

    assert [problem.id for problem in view.problems] == ["PX303"]
    assert (view.running.alive, exit_code(view)) == (False, 69)
    assert routes(proxy) == {"a.test/": "a"}
    assert (after.problems, after.haproxy_error, exit_code(after)) == ((), "", 0)


def test_a_cycle_without_a_change_does_nothing_and_asks_haproxy_c_nothing():
    proxy = SimulatedHAProxy(alive=False)
    reconciler = service(proxy, FakeSource(A))
    reconciler.cycle(frozenset())
    checks, steps = proxy.checks, len(proxy.steps)

    view = reconciler.cycle(frozenset())

    assert (proxy.checks, len(proxy.steps)) == (checks, steps)
    assert view.counters == {"start": 1, "noop": 1}


def test_only_what_rang_is_read_again():
    source = FakeSource(A)
    reconciler = service(SimulatedHAProxy(alive=False), source)

    reconciler.cycle(frozenset())
    reconciler.cycle(frozenset({Ring("podman:", "x"), Ring("podman:", "y")}))
    reconciler.cycle(frozenset({Ring("files")}))
    reconciler.cycle(frozenset({Ring("podman:", "")}))

    assert source.asked == [None, {"x", "y"}, frozenset(), None]


def test_a_moved_pod_needs_no_reload():
    proxy, source = SimulatedHAProxy(alive=False), FakeSource(A)
    reconciler = service(proxy, source)
    reconciler.cycle(frozenset())
    proxy.steps.clear()
    source.workloads = [pod("a", "10.88.0.9", host="a.test", port="80")]

    view = reconciler.cycle(frozenset({Ring("podman:", "a")}))

    assert SetServerAddress("a", "a", "10.88.0.9", 80) in proxy.steps
    assert view.counters == {"start": 1, "runtime": 1}
    assert view.changes[-1].causes == ("podman",)


def test_unreachable_is_not_empty():
    proxy, source = SimulatedHAProxy(alive=False), FakeSource(A)
    reconciler = service(proxy, source)
    reconciler.cycle(frozenset())
    before = dict(routes(proxy))
    source.away = True

    view = reconciler.cycle(frozenset())

    assert routes(proxy) == before == {"a.test/": "a"}
    assert [p.id for p in view.problems] == ["PX401"]


def test_one_podman_that_is_away_does_not_stop_another():
    b = pod("b", host="b.test", port="80", hold="off")
    proxy, one, two = SimulatedHAProxy(alive=False), FakeSource(A), FakeSource(b, key="podman:ann")
    reconciler = service(proxy, one, two)
    reconciler.cycle(frozenset())
    one.away = True
    two.workloads = []

    reconciler.cycle(frozenset())

    assert routes(proxy) == {"a.test/": "a"}


def test_a_new_process_that_cannot_ask_podman_uses_what_was_remembered():
    proxy, source = SimulatedHAProxy(alive=False), FakeSource(A)
    first = service(proxy, source)
    first.cycle(frozenset())
    source.away = True

    service(proxy, source, memory=first.memory).cycle(frozenset())

    assert routes(proxy) == {"a.test/": "a"}


def test_a_new_process_that_knows_nothing_leaves_a_serving_haproxy_alone():
    proxy, source = SimulatedHAProxy(alive=False), FakeSource(A)
    service(proxy, source).cycle(frozenset())
    source.away = True
    proxy.steps.clear()

    view = service(proxy, source).cycle(frozenset())

    assert proxy.steps == []
    assert routes(proxy) == {"a.test/": "a"}
    assert {p.id for p in view.problems} == {"PX401", "PX304"}


def test_haproxy_that_was_restarted_by_hand_is_filled_again():
    proxy, source = SimulatedHAProxy(alive=False), FakeSource(A)
    reconciler = service(proxy, source)
    reconciler.cycle(frozenset())
    source.workloads = [pod("a", "10.88.0.9", host="a.test", port="80")]
    reconciler.cycle(frozenset())
    proxy.fill()
    proxy.maps["maps/web.http.map"].clear()

    reconciler.cycle(frozenset())

    assert routes(proxy) == {"a.test/": "a"}
    assert proxy.servers["a"]["a"].address == "10.88.0.9"


def _refuses_backend(name, *, with_line):
    def refuse(texts):
        lines = texts["haproxy.cfg"].splitlines()
        header = f"backend {name} from ::http-pods"
        if header not in lines:
            return None
        line = lines.index(header) + 2 if with_line else None
        return ConfigRejected(((line, "unknown keyword 'x'"),))

    return refuse


@pytest.mark.parametrize("with_line", [True, False])
def test_the_one_workload_that_haproxy_refuses_is_left_out(with_line):
    proxy = SimulatedHAProxy(refuses=_refuses_backend("b", with_line=with_line), alive=False)
    c = pod("c", "10.88.0.4", host="c.test", port="80")

    view = service(proxy, FakeSource(A, B, c)).cycle(frozenset())

    assert routes(proxy) == {"a.test/": "a", "c.test/": "c"}
    assert [(p.id, p.subject) for p in view.problems] == [("PX301", 'pod "b"')]


def test_a_quarantined_workload_is_not_tried_again_every_time():
    proxy = SimulatedHAProxy(refuses=_refuses_backend("b", with_line=True), alive=False)
    reconciler = service(proxy, FakeSource(A, B))
    reconciler.cycle(frozenset())
    checks = proxy.checks

    view = reconciler.cycle(frozenset())

    assert proxy.checks == checks
    assert [p.id for p in view.problems] == ["PX301"]


def test_broken_templates_are_refused_and_the_last_good_ones_stay():
    proxy = SimulatedHAProxy(alive=False)
    own = {"global.cfg.j2": "global\n    maxconn 7\n"}
    source = FakeSource(A)
    reconciler = service(proxy, source, overrides=lambda: own)
    reconciler.cycle(frozenset())
    own["global.cfg.j2"] = "{% if %}"
    source.workloads.append(B)

    view = reconciler.cycle(frozenset())

    assert "maxconn 7" in proxy.disk["haproxy.cfg"]
    assert routes(proxy).keys() == {"a.test/", "b.test/"}
    assert [p.id for p in view.problems] == ["PX302"]


def test_broken_templates_blame_no_pod():
    def refuse(texts):
        bad = "bogus" in texts["haproxy.cfg"]
        return ConfigRejected(((3, "unknown keyword 'bogus'"),)) if bad else None

    proxy = SimulatedHAProxy(refuses=refuse, alive=False)
    own = {"global.cfg.j2": "global\n    bogus\n"}

    view = service(proxy, FakeSource(A), overrides=lambda: own).cycle(frozenset())

    assert [p.id for p in view.problems] == ["PX302"]
    assert routes(proxy) == {"a.test/": "a"}


POD = Ring("podman:", "x")
"""A ring after which not everything is read again."""


def test_refused_templates_are_not_asked_about_again_at_every_event():
    def refuse(texts):
        bad = "bogus" in texts["haproxy.cfg"]
        return ConfigRejected(((3, "unknown keyword 'bogus'"),)) if bad else None

    proxy, source = SimulatedHAProxy(refuses=refuse, alive=False), FakeSource(A)
    own = {"global.cfg.j2": "global\n    bogus\n"}
    reconciler = service(proxy, source, overrides=lambda: own)
    reconciler.cycle(frozenset())
    checks = proxy.checks
    source.workloads = [pod("a", "10.88.0.9", host="a.test", port="80")]

    view = reconciler.cycle(frozenset({POD}))
    checks_at_once = proxy.checks
    reconciler.cycle(frozenset())

    assert [p.id for p in view.problems] == ["PX302"]
    assert proxy.servers["a"]["a"].address == "10.88.0.9"
    assert checks_at_once == checks
    assert proxy.checks > checks, "a file that they name may be there by now"


def test_mended_templates_are_taken_at_once():
    def refuse(texts):
        bad = "bogus" in texts["haproxy.cfg"]
        return ConfigRejected(((3, "unknown keyword 'bogus'"),)) if bad else None

    proxy = SimulatedHAProxy(refuses=refuse, alive=False)
    own = {"global.cfg.j2": "global\n    bogus\n"}
    reconciler = service(proxy, FakeSource(A), overrides=lambda: own)
    reconciler.cycle(frozenset())
    own["global.cfg.j2"] = "global\n    maxconn 7\n"

    view = reconciler.cycle(frozenset({Ring("files")}))

    assert "maxconn 7" in proxy.disk["haproxy.cfg"]
    assert view.problems == ()


def _with_a_refused_reload(clock):
    proxy, source = SimulatedHAProxy(alive=False), FakeSource(A)
    own = {}
    reconciler = service(proxy, source, overrides=lambda: own, clock=lambda: clock[0])
    reconciler.cycle(frozenset())
    own["global.cfg.j2"] = "global\n    maxconn 7\n"
    proxy.reload_refusal = ConfigRejected(((None, "cannot bind"),))
    reconciler.cycle(frozenset({Ring("files")}))
    return proxy, source, reconciler, own


def test_a_refused_reload_is_not_tried_at_every_event_and_the_rest_goes_on():
    clock = [0.0]
    proxy, source, reconciler, _ = _with_a_refused_reload(clock)
    source.workloads = [pod("a", "10.88.0.9", host="a.test", port="80")]

    view = reconciler.cycle(frozenset({POD}))
    returned = [stopped(A), A]
    for workload in returned:
        source.workloads = [workload]
        reconciler.cycle(frozenset({POD}))

    assert proxy.reloads == 1
    assert view.haproxy_error == "cannot bind"
    assert view.plan.cost == "reload"
    assert [p.id for p in view.problems] == ["PX304"]
    assert proxy.servers["a"]["a"].address == "10.88.0.2"
    assert proxy.servers["a"]["a"].state == "ready"


def test_a_refused_reload_is_tried_again_when_its_time_has_come():
    clock = [0.0]
    proxy, _, reconciler, _ = _with_a_refused_reload(clock)
    assert reconciler.due == 1.0
    clock[0] = 1.0
    reconciler.cycle(frozenset({POD}))
    assert (proxy.reloads, reconciler.due) == (2, 3.0)
    proxy.reload_refusal = None
    clock[0] = 3.0

    view = reconciler.cycle(frozenset({POD}))

    assert (view.haproxy_error, proxy.reloads) == ("", 3)
    assert reconciler.due == float("inf")


def test_a_reload_that_is_another_one_is_tried_at_once():
    proxy, _, reconciler, own = _with_a_refused_reload([0.0])
    own["global.cfg.j2"] = "global\n    maxconn 8\n"

    reconciler.cycle(frozenset({Ring("files")}))

    assert proxy.reloads == 2


def test_looking_changes_nothing():
    proxy = SimulatedHAProxy(alive=False)

    view = service(proxy, FakeSource(A)).look()

    assert proxy.steps == []
    assert view.plan.cost == "start"
    assert view.counters == {}


def test_a_stopped_pod_comes_back_without_a_reload():
    proxy, source = SimulatedHAProxy(alive=False), FakeSource(A)
    reconciler = service(proxy, source)
    for workload in (A, stopped(A), replace(A, networks=A.networks)):
        source.workloads = [workload]
        reconciler.cycle(frozenset())

    assert not any(isinstance(step, Reload) for step in proxy.steps)
    assert proxy.servers["a"]["a"].address == "10.88.0.2"


def test_a_template_that_cannot_be_read_is_told_and_the_last_good_ones_stay(tmp_path):
    (tmp_path / "global.cfg.j2").write_text("global\n    maxconn 7\n")
    proxy = SimulatedHAProxy(alive=False)
    source = FakeSource(A)
    reconciler = service(proxy, source, overrides=lambda: templates.overrides(tmp_path))
    reconciler.cycle(frozenset())
    (tmp_path / "backend.cfg.j2").mkdir()
    source.workloads.append(B)

    view = reconciler.cycle(frozenset())

    assert "maxconn 7" in proxy.disk["haproxy.cfg"]
    assert routes(proxy).keys() == {"a.test/", "b.test/"}
    assert [p.id for p in view.problems] == ["PX302"]
    assert "is a folder" in view.problems[0].where


def test_new_templates_that_suit_no_pod_take_no_route_away():
    def refuse(texts):
        lines = texts["haproxy.cfg"].splitlines()
        bad = [n for n, line in enumerate(lines, 1) if "bogus" in line]
        return ConfigRejected(((bad[0], "unknown keyword 'bogus'"),)) if bad else None

    proxy = SimulatedHAProxy(refuses=refuse, alive=False)
    own = {}
    reconciler = service(proxy, FakeSource(A, B), overrides=lambda: own)
    reconciler.cycle(frozenset())
    own["backend.cfg.j2"] = templates.packaged()["backend.cfg.j2"] + "    bogus\n"

    view = reconciler.cycle(frozenset())

    assert routes(proxy) == {"a.test/": "a", "b.test/": "b"}
    assert [p.id for p in view.problems] == ["PX302"]


def test_once_leaves_nothing_for_later_and_tells_what_it_did():
    proxy, source = SimulatedHAProxy(alive=False), FakeSource(A)
    reconciler = service(proxy, source)
    reconciler.once()
    source.workloads = [pod("a", "10.88.0.9", host="a.test", port="80")]

    view = reconciler.once()

    assert view.plan.steps == ()
    assert [plan.cost for plan in view.applied] == ["runtime"]
    assert "10.88.0.9" in proxy.disk["haproxy.cfg"]


def test_files_that_follow_a_change_cost_one_look_at_haproxy():
    proxy, source = SimulatedHAProxy(alive=False), FakeSource(A)
    reconciler = service(proxy, source)
    reconciler.cycle(frozenset())
    source.workloads = [pod("a", "10.88.0.9", host="a.test", port="80")]
    reconciler.cycle(frozenset({Ring("podman:", "a")}))
    proxy.observed = 0

    view = reconciler.settle()

    assert "10.88.0.9:80" in proxy.disk["haproxy.cfg"]
    assert view.plan.steps == ()
    assert proxy.observed == 1


def test_a_pod_whose_time_is_over_goes_without_a_look_at_all_of_haproxy():
    proxy, source, clock = SimulatedHAProxy(alive=False), FakeSource(A, B), [0.0]
    reconciler = service(proxy, source, clock=lambda: clock[0])
    reconciler.cycle(frozenset())
    source.workloads.remove(B)
    reconciler.cycle(frozenset({Ring("podman:", "b")}))
    waiting, whole = set(routes(proxy)), decided(reconciler)
    clock[0] = reconciler.due

    view = reconciler.cycle(frozenset({DUE}))

    assert waiting == {"a.test/", "b.test/"}
    assert set(routes(proxy)) == {"a.test/"}
    assert view.changes[-1].causes == ("timer",)
    assert decided(reconciler) == whole


def test_a_start_decides_once():
    reconciler = service(SimulatedHAProxy(alive=False), FakeSource(A))

    reconciler.cycle(frozenset())

    assert decided(reconciler) == 1


def in_turn(*answers):
    """Return what answers so, and True ever after."""
    left = list(answers)
    return lambda: left.pop(0) if left else True


@pytest.mark.parametrize("stages", range(4))
def test_files_that_give_way_to_a_ring_are_left_whole_until_it_is_quiet(stages):
    proxy, source = SimulatedHAProxy(alive=False), FakeSource(A)
    reconciler = service(proxy, source)
    reconciler.cycle(frozenset())
    source.workloads = [pod("a", "10.88.0.9", host="a.test", port="80")]
    reconciler.cycle(frozenset({Ring("podman:", "a")}))
    before, steps = dict(proxy.disk), len(proxy.steps)

    left = reconciler.settle(interrupted=in_turn(*[False] * stages))

    # While it is checked, before HAProxy is asked, and after.
    assert (left is None) == (stages < 3)
    if stages < 3:
        assert (proxy.disk, len(proxy.steps), reconciler.settled) == (before, steps, False)
    assert reconciler.settle() is not None
    assert "10.88.0.9:80" in proxy.disk["haproxy.cfg"]
    assert reconciler.settled


@pytest.mark.parametrize("stages", range(2))
def test_what_an_interrupted_look_at_everything_has_found_is_done_with_the_next_change(stages):
    proxy, source = SimulatedHAProxy(alive=False), FakeSource(A)
    reconciler = service(proxy, source)
    reconciler.cycle(frozenset())
    source.workloads.append(B)

    left = reconciler.cycle(frozenset(), interrupted=in_turn(*[False] * stages))
    after = (left.applied, reconciler.settled, set(routes(proxy)))
    reconciler.cycle(frozenset({Ring("podman:", "x")}))

    assert after == ((), False, {"a.test/"})
    assert set(routes(proxy)) == {"a.test/", "b.test/"}


def test_nothing_is_left_in_the_middle_of_what_was_begun():
    allowed = pod("b", "10.88.0.3", host="b.test", port="80", allow="private")
    proxy, source = SimulatedHAProxy(alive=False), FakeSource(A)
    reconciler = service(proxy, source)
    reconciler.cycle(frozenset())
    steps = len(proxy.steps)
    source.workloads = [pod("a", "10.88.0.9", host="a.test", port="80"), allowed]

    view = reconciler.cycle(frozenset(), interrupted=lambda: len(proxy.steps) > steps)

    assert set(routes(proxy)) == {"a.test/", "b.test/"}
    assert view.plan.steps == ()
    assert view.counters == {"start": 1, "reload": 1}


TLS = """
[entrypoints.websecure]
bind = [":443"]
tls = true
"""


def certificate_of(proxy, name):
    return proxy.certificates[f"certs/{name}.pem"]


def test_a_renewed_certificate_goes_in_at_once_and_never_by_a_reload():
    proxy, keyring = SimulatedHAProxy(alive=False), FakeKeyring.of(offer("a.test"))
    reconciler = service(proxy, FakeSource(A), keyring=keyring, text=TLS)
    reconciler.cycle(frozenset())
    renewed = offer("a.test", seed="renewed")
    keyring.disk = replace(keyring.stock, offers=(renewed, *keyring.stock.offers[1:]))
    proxy.steps.clear()

    view = reconciler.cycle(frozenset({Ring("files")}))

    assert certificate_of(proxy, "a.test").fingerprint == renewed.pair.fingerprint
    assert [type(step) for step in proxy.steps] == [PutCertificate]
    assert view.changes[-1].steps == (
        "+ certs/a.test.pem certificate from /etc/proxyctl/certs/a.test.pem",
    )
    reconciler.settle()
    assert proxy.disk["certs/a.test.pem"] == renewed.pair.pem


def test_a_certificate_that_haproxy_refuses_costs_no_route():
    def refuses(texts):
        if "certs/a.test.pem" in texts:
            text = "unable to load certificate from file 'certs/a.test.pem': ee key too small"
            return ConfigRejected(((None, text),))
        return None

    proxy = SimulatedHAProxy(alive=False, refuses=refuses)
    keyring = FakeKeyring.of(offer("a.test"), offer("b.test"))

    view = service(proxy, FakeSource(A, B), keyring=keyring, text=TLS).cycle(frozenset())

    assert set(proxy.maps["maps/websecure.http.map"]) == {"a.test/", "b.test/"}
    assert certificate_of(proxy, "internal@a.test").hosts == ("a.test",)
    assert certificate_of(proxy, "b.test").hosts == ("b.test",)
    assert view.haproxy_error == ""
    assert "b.test" in keyring.good
    assert "a.test" not in keyring.good


def test_files_are_read_again_when_they_ring_and_not_with_every_pod():
    keyring = FakeKeyring()
    reconciler = service(SimulatedHAProxy(), FakeSource(A), keyring=keyring)

    for ring, times in ((Ring("podman:", "x"), 0), (Ring("files"), 1)):
        keyring.reads = 0
        reconciler.cycle(frozenset({ring}))
        assert keyring.reads == times


def test_a_question_of_a_ca_is_answered_without_a_reload():
    proxy, keyring = SimulatedHAProxy(alive=False), FakeKeyring()
    reconciler = service(proxy, FakeSource(A), keyring=keyring)
    reconciler.cycle(frozenset())
    proxy.steps.clear()
    keyring.disk = replace(keyring.stock, challenges=(("token", "token.thumbprint"),))

    reconciler.cycle(frozenset({Ring("files")}))

    assert proxy.maps["maps/acme.map"] == {"token": "token.thumbprint"}
    assert [type(step) for step in proxy.steps] == [PutMapEntry]


# ---- HTTP/3 ----------------------------------------------------------------------------------

HTTP3 = """
[haproxy]
mode = "own"
[entrypoints.websecure]
bind = [":443"]
tls = true
"""


def refusing_quic(texts):
    """What HAProxy says where somebody else has the port of UDP."""
    lines = texts["haproxy.cfg"].splitlines()
    quic = [number for number, line in enumerate(lines, 1) if "bind quic" in line]
    words = "Binding for frontend websecure:http: protocol quic4: cannot bind socket"
    return ConfigRejected(((quic[0], words), (None, "Some protocols failed"))) if quic else None


class Taken(SimulatedHAProxy):
    """Somebody else has the port of UDP: who is to listen there is not loaded."""

    def do(self, step, texts):
        if isinstance(step, Start | Reload) and (refusal := refusing_quic(self.disk)):
            self.disk = dict(self.loaded)
            self.reloads += 1
            raise refusal
        super().do(step, texts)


def test_haproxy_starts_without_http3_and_is_reloaded_with_it():
    proxy = SimulatedHAProxy(alive=False, can_quic=Quic.FULL)

    view = service(proxy, FakeSource(A), text=HTTP3).cycle(frozenset())

    assert [type(s).__name__ for s in proxy.steps] == [
        "WriteFiles",
        "Start",
        "WriteFiles",
        "Reload",
    ]
    assert "bind quic4@:443" in proxy.loaded["haproxy.cfg"]
    assert view.problems == ()
    assert view.plan.steps == ()


def test_a_port_of_udp_that_is_taken_costs_http3_only():
    proxy = Taken(alive=False, can_quic=Quic.FULL)
    source = FakeSource(A)
    reconciler = service(proxy, source, text=HTTP3)

    view = reconciler.cycle(frozenset())
    source.workloads.append(pod("deny", "10.88.0.5", host="c.test", port="80", deny="private"))
    later = reconciler.cycle(frozenset())

    assert "quic" not in proxy.loaded["haproxy.cfg"]
    assert "Alt-Svc" not in proxy.loaded["haproxy.cfg"]
    assert [(p.id, p.severity) for p in view.problems] == [("PX428", "warning")]
    assert "protocol quic4: cannot bind" in view.problems[0].where
    assert view.haproxy_error == later.haproxy_error == ""
    assert proxy.reloads == 1 + 2  # the one that failed, without HTTP/3, and for the new route
    assert "deny" in later.running.sections.keys() | {s.name for s in later.shares}
    assert later.problems == view.problems
    assert [p.id for p in reconciler.settle().problems] == ["PX428"]


def test_haproxy_c_that_refuses_http3_costs_no_workload():
    proxy = SimulatedHAProxy(refuses=refusing_quic, can_quic=Quic.LIMITED)

    view = service(proxy, FakeSource(A), text=HTTP3).cycle(frozenset())

    assert [p.id for p in view.problems] == ["PX428"]
    assert view.running.maps["maps/websecure.http.map"] == (("a.test/", "a"),)
    assert "quic" not in proxy.loaded["haproxy.cfg"]


def test_settings_that_are_read_again_try_http3_again():
    taken = Taken(can_quic=Quic.FULL)
    service(taken, FakeSource(A), text=HTTP3).cycle(frozenset())
    free = SimulatedHAProxy(can_quic=Quic.FULL, disk=taken.disk, loaded=taken.loaded)
    free.fill()

    view = service(free, FakeSource(A), text=HTTP3).cycle(frozenset())

    assert "bind quic4@:443" in free.loaded["haproxy.cfg"]
    assert view.problems == ()


def test_another_program_that_has_quic_is_made_use_of():
    proxy = SimulatedHAProxy(can_quic=Quic.NONE)
    reconciler = service(proxy, FakeSource(A), text=HTTP3)
    reconciler.cycle(frozenset())
    before = proxy.loaded["haproxy.cfg"]
    proxy.can_quic = Quic.FULL

    reconciler.cycle(frozenset())

    assert "quic" not in before
    assert "bind quic4@:443" in proxy.loaded["haproxy.cfg"]
