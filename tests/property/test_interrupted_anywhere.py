"""Killed after any step, the next process brings HAProxy to the goal, and never through a lie."""

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.simulated_haproxy import Crash, SimulatedHAProxy
from tests.pipeline import pod, stopped
from tests.unit.test_reconciler import FakeSource, service

NAMES = ("a", "b", "c")


@st.composite
def pods(draw):
    """A host with some pods: any address, group, weight, options, stopped or not."""
    found = []
    for name in NAMES:
        if not draw(st.booleans()):
            continue
        labels = {"host": draw(st.sampled_from(["x.test", f"{name}.test", f"x.test,{name}.test"]))}
        for key, values in (
            ("group", [None, "g"]),
            ("weight", [None, "7"]),
            ("backup", [None, "yes"]),
            ("compress", [None, "on"]),
            ("hold", [None, "off"]),
        ):
            if (value := draw(st.sampled_from(values))) is not None:
                labels[key] = value
        ip = f"10.88.0.{draw(st.integers(2, 4))}"
        workload = pod(name, ip, port="80", labels=labels, created=draw(st.integers(1, 3)))
        found.append(stopped(workload) if draw(st.booleans()) else workload)
    return found


@settings(max_examples=150, deadline=None)
@given(st.lists(pods(), min_size=1, max_size=4), st.lists(st.integers(0, 6), max_size=4))
def test_interrupted_anywhere_it_still_converges(worlds, crashes):
    proxy = SimulatedHAProxy(alive=False)
    reconciler = service(proxy, FakeSource())
    for world, crash in zip(worlds, [*crashes, *[None] * len(worlds)], strict=False):
        source = FakeSource(*world)
        reconciler = service(proxy, source, memory=reconciler.memory)  # killed, started again
        proxy.crash_after = crash
        with suppress(Crash):
            reconciler.cycle(frozenset())
        proxy.crash_after = None

        reconciler = service(proxy, source, memory=reconciler.memory)
        reconciler.cycle(frozenset())
        view = reconciler.settle()

        assert view.haproxy_error == ""
        assert view.plan.steps == ()
        _serves_exactly(proxy, view)


def _serves_exactly(proxy, view):
    """The world equals the goal: every route leads to the addresses of its pods, and no other."""
    want = {backend.name: backend for backend in view.desired.backends}
    routes = proxy.maps["maps/web.http.map"]
    assert routes == dict(next(m.entries for m in view.desired.maps if "web" in m.file))
    for backend in routes.values():
        there = {(s.address, s.port, str(s.state)) for s in proxy.servers[backend].values()}
        goal = {(s.address, s.port, str(s.state)) for s in want[backend].servers}
        assert there == goal
    assert proxy.disk == dict(view.rendered.texts)
