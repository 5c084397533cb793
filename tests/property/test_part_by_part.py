"""A change decided among its neighbours ends where a decision about everything ends."""

from hypothesis import given, settings
from hypothesis import strategies as st

from proxyctl.decision import decide
from proxyctl.files.memory import Memory
from proxyctl.files.templates import packaged
from proxyctl.plan.planner import make_plan
from proxyctl.plan.steps import Reload, RemoveCertificate
from proxyctl.reconciler import Reconciler
from proxyctl.standing import Standing
from proxyctl.state.model import Global
from proxyctl.wakeup import Ring
from tests.fakes.keyring import FakeKeyring, offer
from tests.fakes.simulated_haproxy import SimulatedHAProxy
from tests.pipeline import FOLDER, SETTINGS, pod, stopped
from tests.pipeline import settings as our_settings
from tests.unit.test_reconciler import FakeSource

NAMES = ("a", "b", "c", "d", "g")
IDENTITY = Global(folder=FOLDER, cookie_key="k", spares=(("http", 8), ("sticky", 2), ("tcp", 2)))

TLS = (
    SETTINGS
    + """
[entrypoints.websecure]
bind = ["127.0.0.1:8443"]
tls = true
"""
)
CERTIFICATES = (offer("x.test"), offer("wild", "*.y.test"), offer("b.test", days=-1))


@st.composite
def changes(draw):
    """What becomes of one pod: its name, and the pod that it is now, or None."""
    name = draw(st.sampled_from(NAMES))
    if draw(st.integers(0, 4)) == 0:
        return name, None
    labels = {"port": "80", "host": draw(st.sampled_from(["x.test", "y.test", f"{name}.test"]))}
    for key, values in (
        ("group", [None, "g", "h"]),
        ("weight", [None, "7"]),
        ("compress", [None, None, "on"]),
        ("hold", [None, None, "off"]),
        ("sticky", [None, None, "cookie"]),
        ("redirect-https", [None, None, "on"]),
        ("redirect-from", [None, None, None, "x.test", "z.test"]),
        ("path", [None, None, "/x"]),
        ("mode", [*[None] * 5, "passthrough"]),
        ("hots", [None, None, None, "a mistake"]),
    ):
        if (value := draw(st.sampled_from(values))) is not None:
            labels[key] = value
    made = pod(
        name,
        f"10.88.0.{draw(st.integers(2, 5))}",
        id=f"{name}-{draw(st.integers(1, 2))}",
        labels=labels,
        created=draw(st.integers(1, 3)),
    )
    return name, stopped(made) if draw(st.integers(0, 3)) == 0 else made


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(changes(), st.booleans()), min_size=1, max_size=10),
    st.sampled_from([(2, 6, 12), (3, 4, 7)]),
)
def test_part_by_part_is_the_whole(steps, version):
    source = FakeSource()
    keyring = FakeKeyring.of(*CERTIFICATES)
    proxy = SimulatedHAProxy(alive=False, version=version)
    reconciler = Reconciler(
        settings=our_settings(TLS),
        sources=[source],
        proxy=proxy,
        overrides=dict,
        identity=IDENTITY,
        memory=Memory(),
        keyring=keyring,
    )
    reconciler.cycle(frozenset())
    there = {}
    for (name, workload), quiet in steps:
        there = {key: one for key, one in there.items() if key != name}
        if workload is not None:
            there[name] = workload
        source.workloads = list(there.values())

        view = reconciler.cycle(frozenset({Ring("podman:", name)}))

        standing = reconciler._standing
        whole = decide(
            reconciler._workloads(), our_settings(TLS), IDENTITY,
            standing.remembered(reconciler.memory), packaged(), keyring=keyring,
        )  # fmt: skip
        again = Standing.whole(reconciler._workloads(), whole)
        for what in ("workloads", "claims", "good", "owners", "shares", "names"):
            assert getattr(standing, what) == getattr(again, what), what
        assert set(standing.all_problems()) == set(again.all_problems())
        told = reconciler.told()
        assert (told.desired, told.rendered) == (whole.desired, whole.rendered)
        left = make_plan(whole.desired, whole.rendered, proxy.observe())
        assert not any(isinstance(step, Reload) for step in left.steps)
        # Whether somebody else still needs a certificate is for a decision about everything.
        assert all(isinstance(step, RemoveCertificate) for step in left.urgent.steps)
        assert view.haproxy_error == ""
        if quiet:
            assert reconciler.settle(quiet=True).plan.steps == ()
