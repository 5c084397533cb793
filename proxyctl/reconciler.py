"""One cycle: read → translate → observe → plan → apply. And what is told about it.

What to do is decided by pure functions in routes, state and plan; what is done is done by the
sources and the proxy. Here they only meet, and here it is settled who is kept and who is left
out when something does not answer or is refused:

    a source does not answer         its workloads stay as they were (unreachable is not empty)
    a source never answered, and     nothing is carried out: whatever HAProxy serves may be its
    HAProxy serves something
    `haproxy -c` refuses             the workloads at fault are left out, the others go live
    it refuses without any           the templates that were accepted last are used instead
    HAProxy refuses a step           the cycle ends, and the next one observes anew
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from proxyctl import __version__
from proxyctl.files.memory import Memory
from proxyctl.files.templates import merged
from proxyctl.plan.describe import describe
from proxyctl.plan.planner import make_plan
from proxyctl.plan.quarantine import culprits, suspects
from proxyctl.plan.steps import Plan
from proxyctl.problems import (
    ConfigRejected,
    HAProxyUnavailable,
    Problem,
    ProxyctlError,
    SourceUnavailable,
)
from proxyctl.routes.claims import Match, Translation, translate
from proxyctl.routes.conflicts import Resolution, resolve
from proxyctl.routes.workload import Workload
from proxyctl.settings import Settings
from proxyctl.state.desired import desired
from proxyctl.state.model import Desired, Global, Running
from proxyctl.state.render import CONFIG, Rendered, render
from proxyctl.status import troubles
from proxyctl.status.view import Change, SourceState, View
from proxyctl.wakeup import Ring

HISTORY = 500
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

    def check(self, texts: Mapping[str, str]) -> None:
        """Raise ConfigRejected if `haproxy -c` refuses the files."""
        ...

    def apply(self, plan: Plan) -> None:
        """Carry out the steps in order; raises HAProxyUnavailable or ConfigRejected."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided about some workloads, before HAProxy is asked."""

    translation: Translation
    resolution: Resolution
    desired: Desired
    rendered: Rendered
    problems: tuple[Problem, ...] = ()


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
        now: Callable[[], float] = time.time,
    ) -> None:
        """Work on `sources` and `proxy`; `overrides` reads the administrator's templates."""
        self.memory = memory
        self._settings = settings
        self._sources = tuple(sources)
        self._proxy = proxy
        self._overrides = overrides
        self._identity = identity
        self._now = now
        self._read = _Read(workloads=dict(memory.workloads))
        self._accepted = ""
        """The haproxy.cfg that `haproxy -c` accepted last, to ask once only."""
        self._quarantine: dict[Workload, Problem] = {}
        self._own: dict[str, str] = {}
        self.view = View(time=now(), started=now(), version=__version__, settings=settings)

    # ---- the two verbs -------------------------------------------------------------------

    def look(self) -> View:
        """Read and decide, but carry nothing out."""
        return self._turn(frozenset(), carry_out=False)

    def cycle(self, rings: frozenset[Ring]) -> View:
        """Read what the rings name (all, if none), and make HAProxy what it should be."""
        return self._turn(rings, carry_out=True)

    def _turn(self, rings: frozenset[Ring], *, carry_out: bool) -> View:
        begin = time.monotonic()
        self._ask_sources(rings)
        decision, problems = self._decide_admitted()
        view = replace(
            self.view,
            time=self._now(),
            sources=self._read.states,
            workloads=self._read.all(),
            problems=(*self._read.problems, *problems),
        )
        if decision is not None:
            view = self._with_decision(view, decision)
            view = self._converge(view, decision, carry_out=carry_out)
        if carry_out:
            view = self._recorded(view, rings, milliseconds=_ms_since(begin))
        self.view = view
        return view

    # ---- read ----------------------------------------------------------------------------

    def _ask_sources(self, rings: frozenset[Ring]) -> None:
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

    def _blind(self, running: Running) -> bool:
        """Tell whether HAProxy may serve workloads of a source that we never heard of."""
        unknown = [s for s in self._sources if s.key not in self._read.workloads]
        ours = (name for name in running.sections if not name.startswith("backend/:"))
        return bool(unknown) and any(name.startswith("backend/") for name in ours)

    # ---- decide --------------------------------------------------------------------------

    def _decide_admitted(self) -> tuple[Decision | None, tuple[Problem, ...]]:
        """Return a decision that `haproxy -c` accepts, with the problems that this cost."""
        own = dict(self._overrides())
        last = dict(self.memory.templates)
        if own != self._own:  # what was refused with other templates deserves another try
            self._own = own
            self._quarantine.clear()
        problems: tuple[Problem, ...] = ()
        for templates in (own, last) if last != own else (own,):
            try:
                decision = self._admitted(merged(templates))
            except ConfigRejected as rejected:
                problems += (
                    troubles.rejected_without_routes(str(rejected), own_templates=bool(own)),
                )
                continue
            except HAProxyUnavailable as missing:
                return None, (*problems, troubles.haproxy_unavailable(str(missing)))
            if templates is own:
                self.memory = replace(self.memory, templates=tuple(sorted(own.items())))
            return decision, (*problems, *decision.problems)
        return None, problems

    def _admitted(self, templates: Mapping[str, str]) -> Decision:
        """Decide; leave out the workloads that make `haproxy -c` refuse."""
        workloads = self._read.all()
        for gone in self._quarantine.keys() - set(workloads):
            del self._quarantine[gone]
        decision = self._decide(templates)
        try:
            self._check(decision.rendered)
        except ConfigRejected as rejected:
            self._find_culprits(decision, templates, rejected)
            decision = self._decide(templates)
            self._check(decision.rendered)
        left_out = tuple(self._quarantine.values())
        return replace(decision, problems=(*decision.problems, *left_out))

    def _decide(
        self, templates: Mapping[str, str], only: frozenset[str] | None = None
    ) -> Decision:
        workloads = [
            w
            for w in self._read.all()
            if w not in self._quarantine and (only is None or w.uid in only)
        ]
        return decide(workloads, self._settings, self._identity, self.memory, templates)

    def _check(self, rendered: Rendered) -> None:
        text = rendered.texts[CONFIG]
        if text != self._accepted:
            self._proxy.check(rendered.texts)
            self._accepted = text

    def _find_culprits(
        self, decision: Decision, templates: Mapping[str, str], rejected: ConfigRejected
    ) -> None:
        """Put the workloads into quarantine without which the configuration is accepted."""

        def is_good(uids: frozenset[str]) -> bool:
            try:
                self._check(self._decide(templates, uids).rendered)
            except ConfigRejected:
                return False
            return True

        uids = frozenset(claim.workload.uid for claim in decision.translation.claims)
        self._check(self._decide(templates, frozenset()).rendered)  # raises: nobody's fault
        guilty = suspects(decision.desired, decision.rendered, rejected.alerts)
        if not guilty or not is_good(uids - guilty):
            guilty = culprits(uids, is_good)
        for workload in self._read.all():
            if workload.uid in guilty:
                self._quarantine[workload] = troubles.rejected(workload, rejected)

    # ---- observe, plan, apply ------------------------------------------------------------

    def _with_decision(self, view: View, decision: Decision) -> View:
        return replace(
            view,
            claims=decision.translation.claims,
            shares=decision.resolution.shares,
            desired=decision.desired,
            rendered=decision.rendered,
        )

    def _converge(self, view: View, decision: Decision, *, carry_out: bool) -> View:
        """Observe and plan, and carry out until there is nothing left to do."""
        done: list[Plan] = []
        error = ""
        running, plan = view.running, view.plan
        try:
            for _ in range(ROUNDS):
                running = self._proxy.observe()
                plan = make_plan(decision.desired, decision.rendered, running)
                if not plan.steps or not carry_out:
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
            self._remember(decision)
        return replace(
            view,
            running=running,
            plan=plan,
            problems=problems,
            haproxy_error=error,
            applied=tuple(done),
        )

    def _remember(self, decision: Decision) -> None:
        self.memory = replace(
            self.memory,
            served=tuple(sorted(decision.resolution.owners.items())),
            workloads=tuple(sorted(self._read.workloads.items())),
            good=tuple(workload for _, workload in sorted(decision.translation.good.items())),
        )

    # ---- tell ----------------------------------------------------------------------------

    def _recorded(self, view: View, rings: frozenset[Ring], *, milliseconds: int) -> View:
        costs = [plan.cost for plan in view.applied]
        cost = next((c for c in ("start", "reload", "runtime", "file") if c in costs), "noop")
        kind = "failed" if view.haproxy_error else cost
        counters = {**view.counters, kind: view.counters.get(kind, 0) + 1}
        changes = view.changes
        if view.applied or (view.haproxy_error and view.haproxy_error != self.view.haproxy_error):
            change = Change(
                id=changes[-1].id + 1 if changes else 1,
                time=view.time,
                causes=tuple(sorted({ring.source.rstrip(":") for ring in rings})) or ("start",),
                cost=cost,  # type: ignore[arg-type]
                steps=tuple(_words_of(plan) for plan in view.applied),
                milliseconds=milliseconds,
                error=view.haproxy_error,
            )
            changes = (*changes[-HISTORY + 1 :], change)
        return replace(view, counters=counters, changes=changes)


def decide(
    workloads: Iterable[Workload],
    settings: Settings,
    identity: Global,
    memory: Memory,
    templates: Mapping[str, str],
) -> Decision:
    """Return what HAProxy should be for *workloads*. Raises ConfigRejected for bad templates."""
    served: Mapping[Match, str] = dict(memory.served)
    good = {workload.uid: workload for workload in memory.good}
    translation = translate(workloads, settings, good)
    resolution = resolve(translation.claims, served)
    wanted = desired(resolution.shares, settings, identity)
    return Decision(
        translation=translation,
        resolution=resolution,
        desired=wanted,
        rendered=render(wanted, templates),
        problems=(*translation.problems, *resolution.problems),
    )


def _changed(rings: frozenset[Ring], key: str) -> frozenset[str] | None:
    """Return what a source is to read again: None is everything."""
    if not rings or any(ring.source in {"timer", "signal"} for ring in rings):
        return None
    ids = frozenset(ring.changed for ring in rings if ring.source == key)
    return None if "" in ids else ids


def _ms_since(begin: float) -> int:
    return round((time.monotonic() - begin) * 1000)


def _words_of(plan: Plan) -> str:
    return "; ".join(" ".join(describe(step)) for step in plan.steps)
