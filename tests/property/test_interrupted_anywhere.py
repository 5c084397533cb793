"""Killed after any step, the next process brings HAProxy to the goal, and never through a lie."""

from contextlib import suppress
from itertools import product
from typing import get_args
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from proxyctl.plan import planner
from proxyctl.plan.steps import Step
from proxyctl.state.frontends import backend_of, leading_to
from proxyctl.state.spares import route_names
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
            ("compress", [None, None, "on"]),
            ("sticky", [None, None, "cookie"]),
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


VERSIONS = ((2, 6, 12), (3, 4, 7))
SPARES = (("http", 2), ("sticky", 1), ("tcp", 1))
HAPROXIES = st.tuples(st.sampled_from(VERSIONS), st.sampled_from([(), SPARES]))
"""A version, and its spare backends."""
MANY = st.sampled_from([0, planner.MANY])
"""From so many changes on a map is replaced as a whole; these worlds are small."""
A, B, C = (
    pod(name, f"10.88.0.{n}", host=f"{name}.test", port="80") for n, name in enumerate(NAMES, 2)
)
MOVED = pod("b", "10.88.0.9", host="b.test", port="80", weight="7")
STORY = (
    ([A, B], [offer("x.test")]),
    ([A, MOVED, C], [offer("x.test", seed="renewed"), offer("a.test")]),
    ([stopped(A), MOVED], [offer("a.test")]),
    ([A, pod("b", "10.88.0.9", host="b.test", port="80", compress="on")], []),
)
WORLDS = st.lists(st.tuples(pods(), certificates()), min_size=1, max_size=4)


@settings(max_examples=200, deadline=None)
@given(WORLDS, st.lists(st.integers(0, 15), max_size=4), HAPROXIES, MANY, st.booleans())
def test_interrupted_anywhere_it_still_converges(worlds, crashes, haproxy, many, quiet):
    with patch.object(planner, "MANY", many):
        _interrupted(worlds, crashes, haproxy, quiet=quiet)


def test_a_story_of_all_kinds_of_steps_is_interrupted_after_each():
    """Chance may leave a kind out; this does not."""
    done = set()
    for version, many, crash in product(VERSIONS, (0, planner.MANY), range(16)):
        with patch.object(planner, "MANY", many):
            done |= _interrupted(STORY, [crash] * len(STORY), (version, SPARES), quiet=True)

    # Nobody is connected to a simulation: tests/unit/plan has what is cut.
    assert done | {"CutSessions"} == {kind.__name__ for kind in get_args(Step)}


def _interrupted(worlds, crashes, haproxy, *, quiet):
    """Go through the worlds, killed after so many steps in each; return what was done."""
    version, spares = haproxy
    proxy = SimulatedHAProxy(alive=False, version=version)
    reconciler = service(proxy, FakeSource(), text=TLS, spares=spares)
    for (world, offers), crash in zip(worlds, [*crashes, *[None] * len(worlds)], strict=False):
        parts = {"keyring": FakeKeyring.of(*offers), "text": TLS, "spares": spares}
        source = FakeSource(*world)
        # Killed, and started again.
        reconciler = service(proxy, source, memory=reconciler.memory, **parts)
        proxy.crash_after = crash
        with suppress(Crash):
            reconciler.cycle(frozenset())
            reconciler.settle(quiet=quiet)
        proxy.crash_after = None

        reconciler = service(proxy, source, memory=reconciler.memory, **parts)
        reconciler.cycle(frozenset())
        view = reconciler.settle(quiet=quiet)

        assert view.haproxy_error == ""
        assert view.plan.steps == ()
        _serves_exactly(proxy, view)
    return {type(step).__name__ for step in proxy.steps}


def _serves_exactly(proxy, view):
    """The world equals the goal: every route leads to the addresses of its pods, and no other."""
    want = {backend.name: backend for backend in view.desired.backends}
    names = route_names(proxy.observe())
    routes = proxy.maps["maps/web.http.map"]
    led = {
        key: leading_to(to, names.get(backend_of(to), backend_of(to)))
        for key, to in routes.items()
    }
    assert led == dict(next(m.entries for m in view.desired.maps if "web" in m.file))
    for backend in map(backend_of, routes.values()):
        there = {(s.address, s.port, str(s.state)) for s in proxy.servers[backend].values()}
        goal = {
            (s.address, s.port, str(s.state)) for s in want[names.get(backend, backend)].servers
        }
        assert there == goal
    assert proxy.disk == dict(view.rendered.texts)
    wanted = {one.file: (one.fingerprint, one.hosts) for one in view.desired.certificates}
    assert {f: (one.fingerprint, one.hosts) for f, one in proxy.certificates.items()} == wanted
