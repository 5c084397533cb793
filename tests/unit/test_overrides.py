from dataclasses import replace

from proxyctl.files.memory import Memory
from proxyctl.overrides import request, with_overrides
from proxyctl.plan.steps import SetServerState
from proxyctl.routes.workload import Phase
from proxyctl.state.model import ServerState
from proxyctl.wakeup import Ring
from tests.fakes.simulated_haproxy import SimulatedHAProxy
from tests.pipeline import pod, stopped
from tests.unit.test_reconciler import FakeSource, service

A = pod("a", "10.88.0.2", host="a.test", port="80")


def ring(state, name="a"):
    return frozenset({Ring("api", request(ServerState(state), name))})


def asked(state, *workloads, memory=Memory(), name="a"):
    return dict(with_overrides(memory, ring(state, name), workloads or (A,)).overrides)


def test_a_drain_holds_until_the_workload_has_stopped():
    memory = with_overrides(Memory(), ring("drain"), [A])

    assert memory.overrides == (("pod//a-id", "drain"),)
    assert with_overrides(memory, frozenset(), [A]) == memory
    assert with_overrides(memory, frozenset(), [replace(A, phase=Phase.STOPPING)]) == memory
    assert with_overrides(memory, frozenset(), [stopped(A)]).overrides == ()
    assert with_overrides(memory, frozenset(), []).overrides == ()


def test_maintenance_holds_until_it_is_taken_back():
    memory = with_overrides(Memory(), ring("maint"), [A])

    assert with_overrides(memory, frozenset(), [stopped(A)]) == memory
    assert with_overrides(memory, ring("ready"), [A]).overrides == ()


def test_nobody_else_is_drained():
    assert asked("drain", name="b") == {}


def test_what_is_no_request_changes_nothing():
    rings = frozenset({Ring("api", "explode a"), Ring("podman:", "drain a")})

    assert with_overrides(Memory(), rings, [A]).overrides == ()


def test_a_drained_server_is_not_repaired_and_comes_back_with_ready():
    proxy = SimulatedHAProxy(alive=False)
    reconciler = service(proxy, FakeSource(A))
    reconciler.cycle(frozenset())
    proxy.steps.clear()

    reconciler.cycle(ring("drain"))
    reconciler.cycle(frozenset())
    assert proxy.steps == [SetServerState("a", "a", ServerState.DRAIN)]

    reconciler.cycle(ring("ready"))
    assert proxy.steps[-1] == SetServerState("a", "a", ServerState.READY)
