"""One cycle: read → translate → observe → plan → apply. And what is told about it.

What to do is decided by pure functions in routes, state and plan; what is done is done by the
sources and the proxy. Here they only meet:

    a source does not answer         its workloads stay as they were (unreachable is not empty)
    a workload is gone               its requests wait for a successor, as long as `hold` says
    a workload starts all the time   it is held back, as if it were stopped, until it stays
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from proxyctl import __version__
from proxyctl.admission import Admission
from proxyctl.damping import Damping
from proxyctl.decision import Decision, Keyring
from proxyctl.delivery import Delivered, Delivery, Proxy
from proxyctl.departed import Departed
from proxyctl.files.memory import Memory
from proxyctl.overrides import named, with_overrides
from proxyctl.plan.describe import words_of
from proxyctl.plan.steps import dearest
from proxyctl.problems import ConfigRejected, Problem, Stumbled
from proxyctl.reading import Reading, Source
from proxyctl.routes.claims import Claim
from proxyctl.routes.workload import Workload
from proxyctl.settings import Settings
from proxyctl.standing import Standing
from proxyctl.state.model import Global
from proxyctl.status import troubles
from proxyctl.status.view import Change, View
from proxyctl.wakeup import Postponed, Ring

HISTORY = 500
FILES = "files"
"""Who rings when a file has changed."""
DUE = Ring("timer", "due")
"""What rings when the time of a workload is over, and nothing else has changed."""


def _never() -> bool:
    return False


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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Work on `sources` and `proxy`; `overrides` reads the administrator's templates.

        `now` tells the time, `clock` how it passes, both in seconds.
        """
        self.memory = memory
        self.settled = True
        """Whether the files on disk are what was decided; else `settle` is due."""
        self._now = now
        self._clock = clock
        self._began = clock()
        """When the present cycle began: all of it is decided for this one moment."""
        self._reading = Reading(sources, memory.workloads)
        self._is_interrupted: Callable[[], bool] = _never
        blind = lambda: self._reading.has_gaps  # noqa: E731 - it is asked later
        self._delivery = Delivery(proxy, is_blind=blind, give_way=self._give_way)
        self._standing: Standing | None = None
        self._departed = Departed()
        self._keyring = keyring
        self._damping = Damping()
        self._admission = Admission(
            settings=settings,
            identity=identity,
            overrides=overrides,
            check=lambda texts: proxy.check(texts, self._give_way),
            quic=proxy.quic,
            accepted=dict(memory.templates),
            keyring=keyring,
        )
        self.view = View(time=now(), started=now(), version=__version__, settings=settings)

    # ---- the verbs -----------------------------------------------------------------------

    def look(self) -> View:
        """Read and decide, but carry nothing out."""
        self._ask_sources(frozenset())
        return self._turned(self._whole(carry_out=False))

    def cycle(self, rings: frozenset[Ring], *, interrupted: Callable[[], bool] = _never) -> View:
        """Read what the rings name (all, if none), and make HAProxy what it should be.

        What the runtime API can do is done at once; where nothing else is needed, the files
        follow when it is quiet (`settle`): a request waits for them no more than for us. When it
        is `interrupted`, what was read is known, and all else is left to `settle`.
        """
        begin = time.monotonic()
        self._ask_sources(rings)
        self.memory = with_overrides(self.memory, rings, self._reading.workloads)
        self._is_interrupted = interrupted
        try:
            view = self._done(rings)
        except Postponed:
            self.settled = False
            return self._turned(replace(self.view, applied=()))
        finally:
            self._is_interrupted = _never
        return self._turned(self._recorded(view, rings, milliseconds=_ms_since(begin)))

    def once(self) -> View:
        """Read everything and carry it out whole, files included: for who does not stay."""
        begin = time.monotonic()
        self._ask_sources(frozenset())
        view = self._whole(carry_out=True)
        return self._turned(self._recorded(view, frozenset(), milliseconds=_ms_since(begin)))

    def settle(
        self, *, quiet: bool = False, interrupted: Callable[[], bool] = _never
    ) -> View | None:
        """Check and write the files, and whatever else is left to do. Asks no source.

        None if it was `interrupted`, before anything was done.
        """
        begin = time.monotonic()
        self._began = self._clock()
        self._is_interrupted = interrupted
        try:
            view = self._whole(carry_out=True, quiet=quiet)
        except Postponed:
            return None
        finally:
            self._is_interrupted = _never
        ring = frozenset({Ring("quiet")})
        return self._turned(self._recorded(view, ring, milliseconds=_ms_since(begin)))

    def told(self) -> View:
        """Return the view, with the texts as they would be written now. For any thread."""
        view, memory = self.view, self.memory
        if view.drawn:
            return view
        wanted, rendered = self._admission.draw(view.shares, memory)
        return replace(view, desired=wanted, rendered=rendered, drawn=True)

    def stumbled(self, error: Exception) -> View:
        """Tell of a turn that ended in what should not happen: everything is as it was before."""
        said = str(Stumbled(error))
        self._standing = None  # what was decided in parts may be half a change
        known = tuple(one for one in self.view.problems if one.id != troubles.STUCK)
        problems = (*known, troubles.stuck(said))
        return self._turned(replace(self.view, applied=(), haproxy_error=said, problems=problems))

    @property
    def due(self) -> float:
        """Return when there is something to do though nothing rings, on the clock.

        A workload that is gone is to be forgotten, one that was held back to be let in (both:
        `DUE`), or a refused reload to be tried again.
        """
        return min(self._departed.due, self._damping.due, self.retry_due)

    @property
    def retry_due(self) -> float:
        """Return when a refused reload is to be tried again, on the clock; infinity if none is."""
        return self._delivery.due(self._began)

    def _turned(self, view: View) -> View:
        self.view = view
        return view

    # ---- read ----------------------------------------------------------------------------

    def _ask_sources(self, rings: frozenset[Ring]) -> None:
        self._began = self._clock()
        self._reading.ask(rings)
        self._damping.note(self._reading.workloads, self._began)
        self._departed.note(self._reading.workloads, self._claims_of_lost(), self._began)
        if not rings or any(ring.source == FILES for ring in rings):
            self._keyring.read()
        if not rings:
            self._admission.forget_refusals()

    def _claims_of_lost(self) -> tuple[Claim, ...]:
        if self._standing is None:
            return self.view.claims
        lost = self._standing.change(self._workloads()).lost
        return tuple(c for uid in lost for c in self._standing.claims.get(uid, ()))

    def _workloads(self) -> tuple[Workload, ...]:
        return (*self._damping.held(self._reading.workloads), *self._departed.workloads)

    # ---- decide, observe, plan, apply ----------------------------------------------------

    def _done(self, rings: frozenset[Ring]) -> View:
        """Do what follows from what was read, the cheapest way that does all of it."""
        view = self._partly(rings) if _names_what_changed(rings) else None
        if view is None and self._delivery.is_answered():
            view = self._at_once()
            self._is_interrupted = _never  # something may have been done by now
        if view is None or view.plan.cost in {"reload", "start"}:
            done = view.applied if view else ()
            view = self._whole(carry_out=True)
            view = replace(view, applied=(*done, *view.applied))
        return view

    def _give_way(self) -> None:
        """Leave what can wait to those who do not."""
        if self._is_interrupted():
            raise Postponed

    def _partly(self, rings: frozenset[Ring]) -> View | None:
        """Do as `_at_once` does for those only whom a change concerns; None if it cannot."""
        standing, workloads = self._standing, self._workloads()
        if standing is None or not self.view.running.alive or self.view.haproxy_error:
            return None
        touched = named(rings, self._reading.workloads)
        change = replace(standing.change(workloads), touched=touched)
        if not change.uids:
            return self._decided_partly(replace(self.view, applied=()), standing)
        try:
            draft = self._admission.draft_part(standing, change, self.memory)
        except ConfigRejected:
            return None
        delivered = self._delivery.part(draft, self.view.running, self._began) if draft else None
        if draft is None or delivered is None:
            return None
        standing.take(workloads, draft.decision, draft.uids)
        self.settled = False
        return replace(self._decided_partly(_with(self.view, delivered), standing), drawn=False)

    def _at_once(self) -> View | None:
        """Do what the runtime API can do; None if that cannot be decided without a check."""
        self._recollect()
        workloads = self._workloads()
        decision = self._admission.draft(workloads, self.memory)
        delivered = self._delivery.at_once(decision, self._began) if decision else None
        if decision is None or delivered is None:
            return None
        self.settled = not delivered.plan.steps
        self._remember(workloads, decision)
        return _with(self._decided(decision, decision.problems), delivered)

    def _whole(self, *, carry_out: bool, quiet: bool = False) -> View:
        """Decide until `haproxy -c` agrees, and carry out until there is nothing left to do."""
        self._recollect()
        workloads = self._workloads()
        decision, problems = self._admission.admit(workloads, self.memory)
        view = self._decided(decision, problems)
        if decision is None:
            return replace(_with(view, self._delivery.nothing()), plan=view.plan)
        templates = tuple(sorted(self._admission.templates.items()))
        self.memory = replace(self.memory, templates=templates)
        delivered = self._delivery.whole(decision, self._began, carry_out=carry_out, quiet=quiet)
        if fault := self._admission.fault_of_http3(decision.rendered, delivered.alerts):
            self._admission.leave_out_http3(fault)
            then = self._whole(carry_out=carry_out, quiet=quiet)
            return replace(then, applied=(*delivered.applied, *then.applied))
        view = _with(view, delivered)
        if delivered.error:
            return replace(view, problems=(*view.problems, _undelivered(delivered, view)))
        if carry_out:
            self.settled = True
            self._remember(workloads, decision)
        return view

    def _decided(self, decision: Decision | None, problems: tuple[Problem, ...]) -> View:
        view = replace(
            self.view,
            time=self._now(),
            sources=self._reading.states,
            workloads=self._damping.held(self._reading.workloads),
            problems=(*self._reading.problems, *problems),
            stock=self._keyring.stock,
        )
        if decision is None:
            return view
        claims = decision.translation.claims
        return self._with_flapping(
            replace(
                view,
                claims=claims,
                shares=decision.resolution.shares,
                desired=decision.desired,
                rendered=decision.rendered,
                drawn=True,
            )
        )

    def _decided_partly(self, view: View, standing: Standing) -> View:
        problems = (*self._admission.problems, *standing.all_problems())
        return self._with_flapping(
            replace(
                view,
                time=self._now(),
                sources=self._reading.states,
                workloads=self._damping.held(self._reading.workloads),
                problems=(*self._reading.problems, *problems),
                claims=standing.all_claims(),
                shares=standing.all_shares(),
            )
        )

    def _with_flapping(self, view: View) -> View:
        asking = (claim.workload for claim in view.claims)
        flapping = self._damping.flapping(asking, self._now())
        problems = (
            troubles.flapping(workload, flapping[workload.uid].container)
            for workload in (view.workloads if flapping else ())
            if workload.uid in flapping
        )
        return replace(view, flapping=flapping, problems=(*view.problems, *problems))

    def _remember(self, workloads: tuple[Workload, ...], decision: Decision) -> None:
        self._standing = Standing.whole(workloads, decision)
        self._recollect()
        read = tuple(sorted(self._reading.by_source.items()))
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
            # Whom a spare stood for before, and stands for now.
            seen = (self.view.running, view.running)
            change = Change(
                id=changes[-1].id + 1 if changes else 1,
                time=view.time,
                causes=_causes(rings) or ("timer" if changes else "start",),
                cost=cost,
                steps=tuple(words_of(plan, *seen) for plan in view.applied),
                milliseconds=milliseconds,
                error=view.haproxy_error,
            )
            changes = (*changes[-HISTORY + 1 :], change)
        return replace(view, counters=counters, changes=changes)


def _with(view: View, delivered: Delivered) -> View:
    return replace(
        view,
        running=delivered.running,
        plan=delivered.plan,
        applied=delivered.applied,
        haproxy_error=delivered.error,
    )


def _undelivered(delivered: Delivered, view: View) -> Problem:
    if delivered.absent:
        return troubles.haproxy_absent(delivered.error, view.settings.haproxy.mode)
    return troubles.not_applied(delivered.error)


def _names_what_changed(rings: frozenset[Ring]) -> bool:
    """Tell whether it is enough to look at that; a look at everything finds any drift."""
    return bool(rings) and all(ring.changed for ring in rings)


def _causes(rings: frozenset[Ring]) -> tuple[str, ...]:
    return tuple(sorted({ring.source.rstrip(":") for ring in rings}))


def _ms_since(begin: float) -> int:
    return round((time.monotonic() - begin) * 1000)
