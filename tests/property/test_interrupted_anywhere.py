"""Killed after any step, the next process brings HAProxy to the goal, and never through a lie."""

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from proxyctl.state.frontends import backend_of
from tests.fakes.keyring import FakeKeyring, offer
from tests.fakes.simulated_haproxy import Crash, SimulatedHAProxy
from tests.pipeline import pod, stopped
from tests.unit.test_reconciler import FakeSource, service

NAMES = ("a", "b", "c")
TLS = """
[entrypoints.web]
bind = [":80"]
[entrypoints.websecure]
bind = [":443"]
tls = true
"""


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


@st.composite
def certificates(draw):
    """A folder with some certificates: of one or several names, renewed or not."""
    names = draw(st.sets(st.sampled_from(["x.test", "a.test", "wild", "both"])))
    hosts = {"wild": ("*.test",), "both": ("a.test", "b.test")}
    return [
        offer(name, *hosts.get(name, ()), seed=draw(st.sampled_from(["", "renewed"])))
        for name in sorted(names)
    ]


WORLDS = st.lists(st.tuples(pods(), certificates()), min_size=1, max_size=4)


@settings(max_examples=150, deadline=None)
@given(WORLDS, st.lists(st.integers(0, 8), max_size=4))
def test_interrupted_anywhere_it_still_converges(worlds, crashes):
    proxy = SimulatedHAProxy(alive=False)
    reconciler = service(proxy, FakeSource(), text=TLS)
    for (world, offers), crash in zip(worlds, [*crashes, *[None] * len(worlds)], strict=False):
        parts = {"keyring": FakeKeyring.of(*offers), "text": TLS}
        source = FakeSource(*world)
        # Killed, and started again.
        reconciler = service(proxy, source, memory=reconciler.memory, **parts)
        proxy.crash_after = crash
        with suppress(Crash):
            reconciler.cycle(frozenset())
        proxy.crash_after = None

        reconciler = service(proxy, source, memory=reconciler.memory, **parts)
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
    for backend in map(backend_of, routes.values()):
        there = {(s.address, s.port, str(s.state)) for s in proxy.servers[backend].values()}
        goal = {(s.address, s.port, str(s.state)) for s in want[backend].servers}
        assert there == goal
    assert proxy.disk == dict(view.rendered.texts)
    wanted = {one.file: (one.fingerprint, one.hosts) for one in view.desired.certificates}
    assert {f: (one.fingerprint, one.hosts) for f, one in proxy.certificates.items()} == wanted
