"""One cycle: read → translate → observe → plan → apply. And what is told about it.

What to do is decided by pure functions in routes, state and plan; what is done is done by the
sources and the proxy. Here they only meet:

    a source does not answer         its workloads stay as they were (unreachable is not empty)
    a source never answered, and     nothing is carried out: whatever HAProxy serves may be its
    HAProxy serves something
    a workload is gone               its requests wait for a successor, as long as `hold` says
    a workload starts all the time   it is held back, as if it were stopped, until it stays
    HAProxy refuses a step           the cycle ends, and the next one observes anew
    HAProxy refuses a reload         what can be done without it is done; it is tried again at
                                     once if it is another, else with growing pauses
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Protocol

from proxyctl import __version__
from proxyctl.admission import Admission, Decision
from proxyctl.damping import Damping
from proxyctl.departed import Departed
from proxyctl.files.memory import Memory
from proxyctl.overrides import with_overrides
from proxyctl.plan.describe import describe
from proxyctl.plan.planner import make_plan
from proxyctl.plan.refusal import Refusal, is_held_back, refused
from proxyctl.plan.steps import Plan, RemoveServer, dearest
from proxyctl.problems import CommandRejected, HAProxyAbsent, Problem, ProxyctlError
from proxyctl.reading import Reading, Source
from proxyctl.routes.workload import Workload
from proxyctl.settings import Settings
from proxyctl.state.model import Global, Running
from proxyctl.status import troubles
from proxyctl.status.view import Change, Flapping, View
from proxyctl.wakeup import Ring

HISTORY = 500
NEVER = float("inf")
ROUNDS = 4
"""So many times is observed and planned in one cycle: a reload is followed by runtime steps."""


class Proxy(Protocol):
    """HAProxy: asked what it is, and told what to become."""

    def observe(self) -> Running:
        """Return what runs; not alive if nobody answers. Raises HAProxyUnavailable."""
        ...

    def check(self, texts: Mapping[str, str]) -> None:
        """Raise ConfigRejected if `haproxy -c` refuses the files."""
        ...

    def apply(self, plan: Plan) -> None:
        """Carry out the steps in order; raises HAProxyUnavailable or ConfigRejected."""
        ...


class Reconciler:
    """Makes HAProxy what the workloads ask for, one cycle at a time. Belongs to one thread."""

    def __init__(  # noqa: PLR0913 - the parts of the house
        self,
        *,
        settings: Settings,
        sources: Iterable[Source],
        proxy: Proxy,
        overrides: Callable[[], Mapping[str, str]],
        identity: Global,
        memory: Memory,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Work on `sources` and `proxy`; `overrides` reads the administrator's templates.

        `now` tells the time, `clock` how it passes, both in seconds.
        """
        self.memory = memory
        self.settled = True
        """Whether the files on disk are what was decided; else `settle` is due."""
        self._proxy = proxy
        self._now = now
        self._clock = clock
        self._began = clock()
        """When the present cycle began: all of it is decided for this one moment."""
        self._refusal: Refusal | None = None
        self._reading = Reading(sources, memory.workloads)
        self._departed = Departed()
        self._damping = Damping()
        self._admission = Admission(
            settings=settings,
            identity=identity,
            overrides=overrides,
            check=proxy.check,
            accepted=dict(memory.templates),
        )
        self.view = View(time=now(), started=now(), version=__version__, settings=settings)

    # ---- the verbs -----------------------------------------------------------------------

    def look(self) -> View:
        """Read and decide, but carry nothing out."""
        self._ask_sources(frozenset())
        return self._turned(self._whole(carry_out=False))

    def cycle(self, rings: frozenset[Ring]) -> View:
        """Read what the rings name (all, if none), and make HAProxy what it should be.

        What the runtime API can do is done at once; where nothing else is needed, the files
        follow when it is quiet (`settle`): a request waits for them no more than for us.
        """
        begin = time.monotonic()
        self._ask_sources(rings)
        self.memory = with_overrides(self.memory, rings, self._reading.workloads)
        view = self._at_once()
        if view is None or view.plan.cost in {"reload", "start"}:
            done = view.applied if view else ()
            view = self._whole(carry_out=True)
            view = replace(view, applied=(*done, *view.applied))
        return self._turned(self._recorded(view, rings, milliseconds=_ms_since(begin)))

    def once(self) -> View:
        """Read everything and carry it out whole, files included: for who does not stay."""
        begin = time.monotonic()
        self._ask_sources(frozenset())
        view = self._whole(carry_out=True)
        return self._turned(self._recorded(view, frozenset(), milliseconds=_ms_since(begin)))

    def settle(self, *, quiet: bool = False) -> View:
        """Check and write the files, and whatever else is left to do. Asks no source."""
        begin = time.monotonic()
        self._began = self._clock()
        view = self._whole(carry_out=True, quiet=quiet)
        ring = frozenset({Ring("quiet")})
        return self._turned(self._recorded(view, ring, milliseconds=_ms_since(begin)))

    @property
    def due(self) -> float:
        """Return when there is something to do though nothing rings, on the clock.

        A workload that is gone is to be forgotten, one that was held back to be let in, or a
        refused reload to be tried again.
        """
        again = self._refusal.until if self._refusal else NEVER
        return min(self._departed.due, self._damping.due, again if again > self._began else NEVER)

    def _turned(self, view: View) -> View:
        self.view = view
        return view

    # ---- read ----------------------------------------------------------------------------

    def _ask_sources(self, rings: frozenset[Ring]) -> None:
        self._began = self._clock()
        self._reading.ask(rings)
        self._damping.note(self._reading.workloads, self._began)
        self._departed.note(self._reading.workloads, self.view.claims, self._began)
        if not rings:
            self._admission.forget_refusals()

    def _workloads(self) -> tuple[Workload, ...]:
        return (*self._damping.held(self._reading.workloads), *self._departed.workloads)

    def _blind(self, running: Running) -> bool:
        """Tell whether HAProxy may serve workloads of a source that we never heard of."""
        ours = (name for name in running.sections if not name.startswith("backend/:"))
        return self._reading.has_gaps and any(name.startswith("backend/") for name in ours)

    # ---- decide, observe, plan, apply ----------------------------------------------------

    def _at_once(self) -> View | None:
        """Do what the runtime API can do; None if that cannot be decided without a check."""
        decision = self._admission.draft(self._workloads(), self.memory)
        if decision is None:
            return None
        view = self._decided(decision, decision.problems)
        try:
            running = self._proxy.observe()
            whole, plan = self._plans(decision, running)
            if not running.alive or self._blind(running):
                return None
            done: tuple[Plan, ...] = ()
            if plan.urgent.steps:
                self._proxy.apply(plan.urgent)
                done = (plan.urgent,)
                running = self._proxy.observe()
                whole, plan = self._plans(decision, running)
        except ProxyctlError:
            return None  # the whole cycle finds out what is wrong, and tells it
        if not _is_done(plan.urgent, done):
            return None
        self.settled = not whole.steps
        self._remember(decision)
        return replace(view, running=running, plan=whole, applied=done, haproxy_error="")

    def _plans(
        self, decision: Decision, running: Running, *, quiet: bool = False
    ) -> tuple[Plan, Plan]:
        """Return all that is to be done, and what of it now: no reload that was just refused."""
        whole = make_plan(decision.desired, decision.rendered, running, quiet=quiet)
        if not is_held_back(self._refusal, whole, running, self._began):
            return whole, whole
        return whole, make_plan(decision.desired, decision.rendered, running, reload=False)

    def _whole(self, *, carry_out: bool, quiet: bool = False) -> View:
        """Decide until `haproxy -c` agrees, and carry out until there is nothing left to do."""
        decision, problems = self._admission.admit(self._workloads(), self.memory)
        if decision is None:
            return replace(self._decided(None, problems), applied=(), running=self._seen())
        view = self._decided(decision, problems)
        templates = tuple(sorted(self._admission.templates.items()))
        self.memory = replace(self.memory, templates=templates)
        return self._converge(view, decision, carry_out=carry_out, quiet=quiet)

    def _seen(self) -> Running:
        """Return what runs, where that is all that can be told of it."""
        try:
            return self._proxy.observe()
        except ProxyctlError:
            return Running(alive=False)

    def _decided(self, decision: Decision | None, problems: tuple[Problem, ...]) -> View:
        view = replace(
            self.view,
            time=self._now(),
            sources=self._reading.states,
            workloads=self._damping.held(self._reading.workloads),
            problems=(*self._reading.problems, *problems),
        )
        if decision is None:
            return view
        flapping = self._flapping(decision)
        return replace(
            view,
            flapping=flapping,
            problems=(*view.problems, *_flapping_problems(view.workloads, flapping)),
            claims=decision.translation.claims,
            shares=decision.resolution.shares,
            desired=decision.desired,
            rendered=decision.rendered,
        )

    def _flapping(self, decision: Decision) -> Mapping[str, Flapping]:
        asking = {claim.workload.uid: claim.workload for claim in decision.translation.claims}
        return self._damping.flapping(asking.values(), self._now())

    def _converge(self, view: View, decision: Decision, *, carry_out: bool, quiet: bool) -> View:
        done: list[Plan] = []
        error, problems = "", view.problems
        running, plan = Running(alive=False), view.plan
        try:
            for _ in range(ROUNDS):
                running = self._proxy.observe()
                plan, now = self._plans(decision, running, quiet=quiet)
                if not carry_out or _is_done(now, done):
                    error = self._refusal.error if self._refusal and now != plan else ""
                    break
                if self._blind(running):
                    error = "waiting for a source that never answered: HAProxy keeps what it has"
                    break
                self._carry_out(now, running)
                done.append(now)
            else:
                error = "HAProxy is still not what it should be: " + _words_of(plan)
        except HAProxyAbsent as absent:
            error, mode = str(absent), view.settings.haproxy.mode
            problems = (*problems, troubles.haproxy_absent(error, mode))
        except ProxyctlError as refused:
            error = str(refused)
        if error and problems == view.problems:
            problems = (*problems, troubles.not_applied(error))
        elif carry_out:
            self.settled = True
            self._remember(decision)
        return replace(
            view,
            running=running,
            plan=plan,
            problems=problems,
            haproxy_error=error,
            applied=tuple(done),
        )

    def _carry_out(self, plan: Plan, running: Running) -> None:
        try:
            self._proxy.apply(plan)
        except CommandRejected:
            raise  # a step before the reload
        except ProxyctlError as error:
            if plan.cost == "reload":
                self._refusal = refused(self._refusal, plan, running, str(error), self._began)
            raise
        if plan.cost == "reload":
            self._refusal = None

    def _remember(self, decision: Decision) -> None:
        self.memory = replace(
            self.memory,
            served=tuple(sorted(decision.resolution.owners.items())),
            workloads=tuple(sorted(self._reading.by_source.items())),
            good=tuple(workload for _, workload in sorted(decision.translation.good.items())),
        )

    # ---- tell ----------------------------------------------------------------------------

    def _recorded(self, view: View, rings: frozenset[Ring], *, milliseconds: int) -> View:
        cost = dearest(plan.cost for plan in view.applied)
        kind = "failed" if view.haproxy_error else cost
        counters = {**view.counters, kind: view.counters.get(kind, 0) + 1}
        changes = view.changes
        if view.applied or (view.haproxy_error and view.haproxy_error != self.view.haproxy_error):
            change = Change(
                id=changes[-1].id + 1 if changes else 1,
                time=view.time,
                causes=_causes(rings) or ("timer" if changes else "start",),
                cost=cost,
                steps=tuple(_words_of(plan) for plan in view.applied),
                milliseconds=milliseconds,
                error=view.haproxy_error,
            )
            changes = (*changes[-HISTORY + 1 :], change)
        return replace(view, counters=counters, changes=changes)


def _flapping_problems(
    workloads: Iterable[Workload], flapping: Mapping[str, Flapping]
) -> tuple[Problem, ...]:
    return tuple(
        troubles.flapping(workload, flapping[workload.uid].container)
        for workload in workloads
        if workload.uid in flapping
    )


def _is_done(plan: Plan, done: Iterable[Plan]) -> bool:
    """Tell whether nothing is left, but servers whose last connections have to end first."""
    tried = {step for before in done for step in before.steps}
    return all(isinstance(step, RemoveServer) and step in tried for step in plan.steps)


def _causes(rings: frozenset[Ring]) -> tuple[str, ...]:
    return tuple(sorted({ring.source.rstrip(":") for ring in rings}))


def _ms_since(begin: float) -> int:
    return round((time.monotonic() - begin) * 1000)


def _words_of(plan: Plan) -> str:
    return "; ".join(" ".join(describe(step)) for step in plan.steps)
