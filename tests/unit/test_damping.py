"""A workload that starts again and again, seen by the reconciler with a simulated HAProxy."""

from dataclasses import replace

from proxyctl.files.memory import Memory
from proxyctl.plan.steps import Reload
from proxyctl.reconciler import Reconciler
from proxyctl.routes.workload import Kind, Phase
from proxyctl.state.model import Global, ServerState
from proxyctl.status import answers
from proxyctl.status.explain_workload import explain_workload
from proxyctl.wakeup import Ring
from tests.fakes.keyring import FakeKeyring
from tests.fakes.simulated_haproxy import SimulatedHAProxy
from tests.pipeline import FOLDER, member, pod, settings, stopped
from tests.unit.test_reconciler import FakeSource

RING = frozenset({Ring("podman:", "x")})
A = pod("a", "10.88.0.2", host="a.test", port="80")
LOOP = pod("loop", "10.88.0.3", kind=Kind.CONTAINER, host="loop.test", port="80")


class House:
    """A reconciler whose clock is turned by hand."""

    def __init__(self, *workloads):
        self.clock = 0.0
        self.proxy, self.source = SimulatedHAProxy(alive=False), FakeSource(*workloads)
        self.reconciler = Reconciler(
            settings=settings(),
            sources=[self.source],
            proxy=self.proxy,
            overrides=dict,
            identity=Global(folder=FOLDER, cookie_key="k"),
            memory=Memory(),
            keyring=FakeKeyring(),
            now=lambda: 1000.0 + self.clock,
            clock=lambda: self.clock,
        )

    def see(self, *workloads, at):
        self.clock, self.source.workloads = at, list(workloads)
        return self.reconciler.cycle(RING)

    def loop(self, starts, begin=0):
        """Let it start each second, and end in between."""
        for second in range(begin, begin + starts):
            running = replace(LOOP, started=100 + second)
            self.see(A, running, at=float(second))
            view = self.see(A, stopped(running), at=second + 0.5)
        return view

    @property
    def server(self):
        return self.proxy.servers["loop"]["loop"]


def row(view, name):
    return next(r for r in answers.routes(view)["items"] if r["workload"] == name)


def test_a_container_in_a_loop_is_held_back_and_costs_no_step_any_more():
    house = House(A, LOOP)
    house.loop(6)
    before = len(house.proxy.steps)

    view = house.loop(20, begin=6)

    assert len(house.proxy.steps) == before
    assert not any(isinstance(step, Reload) for step in house.proxy.steps)
    assert house.server.state is ServerState.MAINT
    assert house.proxy.maps["maps/web.http.map"] == {"a.test/": "a", "loop.test/": "loop"}
    assert [(p.id, p.subject) for p in view.problems] == [("PX406", 'container "loop"')]
    assert answers.is_healthy(view)


def test_it_is_told_how_often_it_was_started_and_until_when_it_waits():
    house = House(A, LOOP)

    view = house.loop(7)

    (told,) = answers.status(view, now=view.time)["flapping"]
    explained = explain_workload(view, next(w for w in view.workloads if w.name == "loop"))
    assert (told["workload"], told["starts"], told["until"]) == ("loop", 7, 1006.0 + 4.0)
    assert told["look_at"] == "podman logs loop"
    assert row(view, "loop")["status"] == "FLAPPING"
    assert row(view, "loop")["flapping"] == {"starts": 7, "until": 1010.0}
    assert row(view, "a")["status"] == "UP"
    assert explained["phase"] == "flapping"
    assert explained["flapping"]["starts"] == 7


def test_the_same_problem_is_not_another_one_at_each_start():
    house = House(A, LOOP)

    assert house.loop(7).problems == house.loop(5, begin=7).problems


def test_it_is_let_in_when_it_has_stayed_and_forgotten_after_a_minute():
    house = House(A, LOOP)
    house.loop(7)
    running = replace(LOOP, started=200)
    house.see(A, running, at=7.0)
    assert house.reconciler.due == 7.0 + 8.0

    early = house.see(A, running, at=14.9)
    let_in = house.see(A, running, at=15.0)
    state = house.server.state
    later = house.see(A, running, at=15.0 + 61)

    assert row(early, "loop")["status"] == "FLAPPING"
    assert (row(let_in, "loop")["status"], state) == ("UP", ServerState.READY)
    assert house.server.address == "10.88.0.3"
    assert let_in.flapping[LOOP.uid].until == 0
    assert [len(view.problems) for view in (early, let_in, later)] == [1, 1, 0]
    assert house.reconciler.due == float("inf")


def test_a_pod_that_is_made_anew_each_time_is_known_by_its_name():
    house = House(A)
    for number in range(6):
        made = pod(
            "p", "10.88.0.4", id=f"p-{number}", host="p.test", port="80", started=number + 1
        )
        view = house.see(A, made, at=float(number))

    assert row(view, "p")["status"] == "FLAPPING"
    assert house.proxy.servers["p"]["p"].state is ServerState.MAINT


def test_one_container_of_a_pod_that_stays_is_told_and_holds_nothing_back():
    house = House(A)
    for number in range(8):
        side = member("p-side", started=number + 1)
        made = pod("p", "10.88.0.4", host="p.test", port="80", started=1, members=(side,))
        view = house.see(A, made, at=float(number))

    (problem,) = view.problems
    assert (problem.id, problem.where) == ("PX406", 'container "p-side"')
    assert problem.fix == "podman logs p-side"
    assert row(view, "p")["status"] == "UP"
    assert made.phase is Phase.RUNNING
    assert house.reconciler.due == float("inf")


def test_what_flaps_and_asks_for_nothing_is_not_told():
    house = House(A)
    for number in range(8):
        made = pod("quiet", started=number + 1)
        view = house.see(A, made, at=float(number))

    assert view.problems == ()
    assert dict(view.flapping) == {}
