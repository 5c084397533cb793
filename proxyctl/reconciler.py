"""One cycle: read → translate → observe → plan → apply. And what is told about it.

What to do is decided by pure functions in routes, state and plan; what is done is done by the
sources and the proxy. Here they only meet:

    a source does not answer         its workloads stay as they were (unreachable is not empty)
    a source never answered, and     nothing is carried out: whatever HAProxy serves may be its
    HAProxy serves something
    a workload is gone               its requests wait for a successor, as long as `hold` says
    HAProxy refuses a step           the cycle ends, and the next one observes anew
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from proxyctl import __version__
from proxyctl.admission import Admission, PartDecision
from proxyctl.decision import Decision, Keyring
from proxyctl.departed import Departed
from proxyctl.files.memory import Memory
from proxyctl.overrides import with_overrides
from proxyctl.plan.describe import describe
from proxyctl.plan.part import backends_of, with_steps
from proxyctl.plan.planner import make_plan
from proxyctl.plan.steps import Plan, RemoveServer, WriteFiles, dearest
from proxyctl.problems import Problem, ProxyctlError, SourceUnavailable
from proxyctl.routes.claims import Claim
from proxyctl.routes.workload import Workload
from proxyctl.settings import Settings
from proxyctl.standing import Standing
from proxyctl.state.model import Global, Running
from proxyctl.state.render import CONFIG
from proxyctl.status import troubles
from proxyctl.status.view import Change, SourceState, View
from proxyctl.wakeup import Ring

HISTORY = 500
FILES = "files"
"""Who rings when a file has changed."""
ROUNDS = 4
"""So many times is observed and planned in one cycle: a reload is followed by runtime steps."""


class Source(Protocol):
    """Where workloads come from."""

    key: str
    """Who it is in a ring: `podman:`, `files`."""
    where: str

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Return what it could not understand."""
        ...

    def read(self, changed: frozenset[str] | None) -> tuple[Workload, ...]:
        """Return all workloads; those in `changed` are read again, all of them if None.

        Raises SourceUnavailable.
        """
        ...


class Proxy(Protocol):
    """HAProxy: asked what it is, and told what to become."""

    def observe(self) -> Running:
        """Return what runs; not alive if nobody answers. Raises HAProxyUnavailable."""
        ...

    def observe_again(self, known: Running, backends: Collection[str]) -> Running | None:
        """Return what is known, with the servers of *backends* asked for again.

        None if another process answers by now. Raises HAProxyUnavailable.
        """
        ...

    def check(self, texts: Mapping[str, str]) -> None:
        """Raise ConfigRejected if `haproxy -c` refuses the files."""
        ...

    def apply(self, plan: Plan) -> None:
        """Carry out the steps in order; raises HAProxyUnavailable or ConfigRejected."""
        ...


@dataclass(slots=True)
class _Read:
    """What the sources told last."""

    workloads: dict[str, tuple[Workload, ...]] = field(default_factory=dict)
    states: tuple[SourceState, ...] = ()
    problems: tuple[Problem, ...] = ()

    def all(self) -> tuple[Workload, ...]:
        return tuple(w for _, found in sorted(self.workloads.items()) for w in found)


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
        keyring: Keyring,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Work on `sources` and `proxy`; `overrides` reads the administrator's templates."""
        self.memory = memory
        self.settled = True
        """Whether the files on disk are what was decided; else `settle` is due."""
        self._sources = tuple(sources)
        self._proxy = proxy
        self._now = now
        self._read = _Read(workloads=dict(memory.workloads))
        self._standing: Standing | None = None
        self._departed = Departed()
        self._keyring = keyring
        self._renewed = False
        """Whether certificates are others than in the cycle before."""
        self._admission = Admission(
            settings=settings,
            identity=identity,
            overrides=overrides,
            check=proxy.check,
            accepted=dict(memory.templates),
            keyring=keyring,
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
        before = self.memory.overrides
        self._ask_sources(rings)
        self.memory = with_overrides(self.memory, rings, self._read.all())
        touched = frozenset(uid for uid, _ in set(before) ^ set(self.memory.overrides))
        few = _names_what_changed(rings) and not self._renewed
        view = self._partly(touched) if few else None
        if view is None:
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
        view = self._whole(carry_out=True, quiet=quiet)
        ring = frozenset({Ring("quiet")})
        return self._turned(self._recorded(view, ring, milliseconds=_ms_since(begin)))

    @property
    def due(self) -> float:
        """Return when a workload that is gone is to be forgotten: on time.monotonic's clock."""
        return self._departed.due

    def _turned(self, view: View) -> View:
        self.view = view
        return view

    # ---- read ----------------------------------------------------------------------------

    def _ask_sources(self, rings: frozenset[Ring]) -> None:
        self._renewed = False
        if not rings or any(ring.source == FILES for ring in rings):
            before = self._keyring.stock
            self._renewed = not self._keyring.read().is_like(before)
        states: list[SourceState] = []
        problems: list[Problem] = []
        for source in self._sources:
            error = ""
            try:
                self._read.workloads[source.key] = source.read(_changed(rings, source.key))
            except SourceUnavailable as unavailable:
                error = str(unavailable)
                known = source.key in self._read.workloads
                problems.append(troubles.source_unavailable(source.key, error, known=known))
            problems.extend(source.problems)
            found = self._read.workloads.get(source.key, ())
            states.append(
                SourceState(
                    name=source.key.rstrip(":"),
                    where=source.where,
                    available=not error,
                    error=error,
                    workloads=len(found),
                )
            )
        self._read.states, self._read.problems = tuple(states), tuple(problems)
        self._departed.note(self._read.all(), self._claims_of_lost(), time.monotonic())

    def _claims_of_lost(self) -> tuple[Claim, ...]:
        if self._standing is None:
            return self.view.claims
        lost = self._standing.change(self._workloads()).lost
        return tuple(c for uid in lost for c in self._standing.claims.get(uid, ()))

    def _workloads(self) -> tuple[Workload, ...]:
        return (*self._read.all(), *self._departed.workloads)

    def _blind(self, running: Running) -> bool:
        """Tell whether HAProxy may serve workloads of a source that we never heard of."""
        unknown = [s for s in self._sources if s.key not in self._read.workloads]
        ours = (name for name in running.sections if not name.startswith("backend/:"))
        return bool(unknown) and any(name.startswith("backend/") for name in ours)

    # ---- decide, observe, plan, apply ----------------------------------------------------

    def _partly(self, touched: frozenset[str]) -> View | None:
        """Do as `_at_once` does for those only whom the change concerns; None if it cannot."""
        standing, workloads = self._standing, self._workloads()
        if standing is None or not self.view.running.alive or self.view.haproxy_error:
            return None
        change = replace(standing.change(workloads), touched=touched)
        if not change.uids:
            return self._decided_partly(replace(self.view, applied=()), standing)
        try:
            draft = self._admission.draft_part(standing, change, self.memory)
            done = self._carry_out(draft) if draft else None
        except ProxyctlError:
            return None
        if draft is None or done is None:
            return None
        standing.take(workloads, draft.decision, draft.uids)
        self.settled = False
        return self._decided_partly(done, standing)

    def _carry_out(self, draft: PartDecision) -> View | None:
        """Do what the runtime API can do for a part, on what HAProxy says of it at this moment."""
        decision, part, known = draft.decision, draft.part, self.view.running
        plan = make_plan(decision.desired, decision.rendered, part.within(known))
        asked = part.loaded(known) | backends_of(plan.urgent)
        done: tuple[Plan, ...] = ()
        while True:
            running = self._proxy.observe_again(known, asked)
            if running is None or self._blind(running):
                return None
            plan = make_plan(decision.desired, decision.rendered, part.within(running))
            if _is_done(plan.urgent, done):
                left = (step for step in plan.steps if not isinstance(step, WriteFiles))
                plan = Plan((WriteFiles((CONFIG,)), *left))
                return replace(self.view, running=running, plan=plan, applied=done)
            if done or not backends_of(plan.urgent) <= asked:
                return None
            self._proxy.apply(plan.urgent)
            done = (plan.urgent,)
            known = with_steps(running, plan.urgent)

    def _decided_partly(self, view: View, standing: Standing) -> View:
        problems = (*standing.all_problems(), *self._admission.left_out)
        return replace(
            view,
            time=self._now(),
            sources=self._read.states,
            workloads=self._read.all(),
            problems=(*self._read.problems, *problems),
            claims=standing.all_claims(),
            shares=standing.all_shares(),
        )

    def _at_once(self) -> View | None:
        """Do what the runtime API can do; None if that cannot be decided without a check."""
        self._recollect()
        workloads = self._workloads()
        decision = self._admission.draft(workloads, self.memory)
        if decision is None:
            return None
        view = self._decided(decision, decision.problems)
        try:
            running = self._proxy.observe()
            plan = make_plan(decision.desired, decision.rendered, running)
            if not running.alive or self._blind(running):
                return None
            done: tuple[Plan, ...] = ()
            if plan.urgent.steps:
                self._proxy.apply(plan.urgent)
                done = (plan.urgent,)
                running = self._proxy.observe()
                plan = make_plan(decision.desired, decision.rendered, running)
        except ProxyctlError:
            return None  # the whole cycle finds out what is wrong, and tells it
        if not _is_done(plan.urgent, done):
            return None
        self.settled = not plan.steps
        self._remember(workloads, decision)
        return replace(view, running=running, plan=plan, applied=done, haproxy_error="")

    def _whole(self, *, carry_out: bool, quiet: bool = False) -> View:
        """Decide until `haproxy -c` agrees, and carry out until there is nothing left to do."""
        self._recollect()
        decision, problems = self._admission.admit(self._workloads(), self.memory)
        if decision is None:
            return replace(self._decided(None, problems), applied=())
        view = self._decided(decision, problems)
        templates = tuple(sorted(self._admission.templates.items()))
        self.memory = replace(self.memory, templates=templates)
        return self._converge(view, decision, carry_out=carry_out, quiet=quiet)

    def _decided(self, decision: Decision | None, problems: tuple[Problem, ...]) -> View:
        view = replace(
            self.view,
            time=self._now(),
            sources=self._read.states,
            workloads=self._read.all(),
            problems=(*self._read.problems, *problems),
            stock=self._keyring.stock,
        )
        if decision is None:
            return view
        return replace(
            view,
            claims=decision.translation.claims,
            shares=decision.resolution.shares,
            desired=decision.desired,
            rendered=decision.rendered,
        )

    def _converge(self, view: View, decision: Decision, *, carry_out: bool, quiet: bool) -> View:
        done: list[Plan] = []
        error = ""
        running, plan = view.running, view.plan
        try:
            for _ in range(ROUNDS):
                running = self._proxy.observe()
                plan = make_plan(decision.desired, decision.rendered, running, quiet=quiet)
                if not carry_out or _is_done(plan, done):
                    break
                if self._blind(running):
                    error = "waiting for a source that never answered: HAProxy keeps what it has"
                    break
                self._proxy.apply(plan)
                done.append(plan)
            else:
                error = "HAProxy is still not what it should be: " + _words_of(plan)
        except ProxyctlError as refused:
            error = str(refused)
        problems = view.problems
        if error:
            problems = (*problems, troubles.not_applied(error))
        elif carry_out:
            self.settled = True
            self._remember(self._workloads(), decision)
        return replace(
            view,
            running=running,
            plan=plan,
            problems=problems,
            haproxy_error=error,
            applied=tuple(done),
        )

    def _remember(self, workloads: tuple[Workload, ...], decision: Decision) -> None:
        self._standing = Standing.whole(workloads, decision)
        self._recollect()
        read = tuple(sorted(self._read.workloads.items()))
        self.memory = replace(self.memory, workloads=read)

    def _recollect(self) -> None:
        """Bring the memory up to what stands."""
        if self._standing is not None:
            self.memory = self._standing.remembered(self.memory)

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


def _changed(rings: frozenset[Ring], key: str) -> frozenset[str] | None:
    """Return what a source is to read again: None is everything."""
    if not rings:
        return None
    ids = frozenset(ring.changed for ring in rings if ring.source == key)
    return None if "" in ids else ids


def _names_what_changed(rings: frozenset[Ring]) -> bool:
    """Tell whether it is enough to look at that; a look at everything finds any drift."""
    return bool(rings) and all(ring.changed or ring.source == FILES for ring in rings)


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
