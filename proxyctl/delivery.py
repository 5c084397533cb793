"""Observe, plan, apply: HAProxy made what was decided, whole or in part.

HAProxy refuses a step           it ends there, and the next cycle observes anew
HAProxy refuses a reload         what can be done without it is done; it is tried again at
                                 once if it is another, else with growing pauses
a source never answered, and     nothing is carried out: whatever HAProxy serves may be its
HAProxy serves something
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from proxyctl.admission import PartDecision
from proxyctl.decision import Decision
from proxyctl.plan.describe import words_of
from proxyctl.plan.part import backends_of, with_steps
from proxyctl.plan.planner import make_plan
from proxyctl.plan.refusal import Refusal, is_held_back, refused
from proxyctl.plan.steps import CutSessions, Plan, RemoveServer, WriteFiles
from proxyctl.problems import CommandRejected, ConfigRejected, HAProxyAbsent, ProxyctlError
from proxyctl.state.model import Quic, Running
from proxyctl.state.render import CONFIG

NEVER = float("inf")
_WAITING = "waiting for a source that never answered (PX401): HAProxy keeps what it has"
ROUNDS = 4
"""So many times is observed and planned in one cycle: a reload is followed by runtime steps."""


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

    def observe_files(self, known: Running) -> Running:
        """Return what is known, with the files on disk as they are now."""
        ...

    def pulse(self) -> int:
        """Return the pid of the process that answers, 0 if there is none. It costs nothing."""
        ...

    def check(self, texts: Mapping[str, str], give_way: Callable[[], None]) -> None:
        """Raise ConfigRejected if `haproxy -c` refuses the files.

        `give_way` is called while it is waited for, and may raise.
        """
        ...

    def quic(self) -> Quic:
        """Return what the program has of QUIC."""
        ...

    def apply(self, plan: Plan) -> None:
        """Carry out the steps in order; raises HAProxyUnavailable or ConfigRejected."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What became of a decision."""

    running: Running
    plan: Plan
    """What is still to be done."""
    applied: tuple[Plan, ...] = ()
    error: str = ""
    """Why not everything was carried out; "" if it was."""
    absent: bool = False
    """Whether that is because HAProxy does not run."""
    alerts: tuple[tuple[int | None, str], ...] = ()
    """HAProxy's words about the lines of haproxy.cfg that a reload failed for."""


class Delivery:
    """Carries out decisions on one HAProxy. Belongs to the reconciler's thread."""

    def __init__(
        self, proxy: Proxy, *, is_blind: Callable[[], bool], give_way: Callable[[], None]
    ) -> None:
        """`is_blind` tells whether a source was never heard of.

        `give_way` is called before anything is carried out, and may raise.
        """
        self._proxy = proxy
        self._is_blind = is_blind
        self._give_way = give_way
        self._refusal: Refusal | None = None

    def due(self, now: float) -> float:
        """Return when a refused reload is to be tried again; infinity if none is."""
        return self._refusal.until if self._refusal and self._refusal.until > now else NEVER

    def is_answered(self) -> bool:
        """Tell whether there is a HAProxy for which something can be done at once."""
        return self._proxy.pulse() != 0

    def nothing(self) -> Delivered:
        """Return what runs where nothing could be decided: HAProxy goes on without us."""
        try:
            return Delivered(running=self._proxy.observe(), plan=Plan())
        except ProxyctlError as error:
            return Delivered(running=Running(alive=False), plan=Plan(), error=str(error))

    def at_once(self, decision: Decision, now: float) -> Delivered | None:
        """Do what the runtime API can do; None if something is in the way.

        Whoever does everything finds out what, and tells it.
        """
        done: tuple[Plan, ...] = ()
        try:
            running = self._observed()
            whole, plan = self._plans(decision, running, now)
            if not running.alive or self._blind(running):
                return None
            if plan.urgent.steps:
                self._proxy.apply(plan.urgent)
                done = (plan.urgent,)
                running = self._proxy.observe()
                whole, plan = self._plans(decision, running, now)
        except ProxyctlError:
            return None
        if not _is_done(plan.urgent, done):
            return None
        return Delivered(running=running, plan=whole, applied=done)

    def part(self, draft: PartDecision, known: Running, now: float) -> Delivered | None:
        """As `at_once`, for a part; `known` is what HAProxy was when it was observed last.

        Of the part's backends HAProxy is asked at this moment, of everything else it is believed.
        """
        part = draft.part
        _, plan = self._plans(draft.decision, part.within(known), now)
        asked = part.loaded(known) | backends_of(plan.urgent)
        done: tuple[Plan, ...] = ()
        try:
            while True:
                running = self._proxy.observe_again(known, asked & known.servers.keys())
                if running is None or self._blind(running):
                    return None
                whole, plan = self._plans(draft.decision, part.within(running), now)
                if _is_done(plan.urgent, done):
                    left = (step for step in whole.steps if not isinstance(step, WriteFiles))
                    plan = Plan((WriteFiles((CONFIG,)), *left))
                    return Delivered(running=running, plan=plan, applied=done)
                if done or not backends_of(plan.urgent) <= asked:
                    return None
                self._proxy.apply(plan.urgent)
                done = (plan.urgent,)
                known = with_steps(running, plan.urgent)
        except ProxyctlError:
            return None

    def whole(
        self, decision: Decision, now: float, *, carry_out: bool = True, quiet: bool = False
    ) -> Delivered:
        """Carry out until there is nothing left to do."""
        done: list[Plan] = []
        error, absent = "", False
        alerts: tuple[tuple[int | None, str], ...] = ()
        running, plan = Running(alive=False), Plan()
        try:
            running = self._observed()
            for _ in range(ROUNDS):
                plan, due = self._plans(decision, running, now, quiet=quiet)
                if not carry_out or _is_done(due, done):
                    error = self._refusal.error if self._refusal and due != plan else ""
                    break
                if self._blind(running):
                    error = _WAITING
                    break
                self._carry_out(due, running, now)
                done.append(due)
                running = self._after(due, running)
            else:
                error = "HAProxy is still not what it should be: " + words_of(plan, running)
        except ProxyctlError as failure:
            error, absent = str(failure), isinstance(failure, HAProxyAbsent)
            alerts = failure.alerts if isinstance(failure, ConfigRejected) else ()
        return Delivered(
            running=running,
            plan=plan,
            applied=tuple(done),
            error=error,
            absent=absent,
            alerts=alerts,
        )

    def _observed(self) -> Running:
        """Return what runs, before anything is done about it."""
        self._give_way()
        running = self._proxy.observe()
        self._give_way()
        return running

    def _after(self, done: Plan, known: Running) -> Running:
        """Return what runs after a plan; files alone change nothing but the disk."""
        return self._proxy.observe_files(known) if done.cost == "file" else self._proxy.observe()

    def _plans(
        self, decision: Decision, running: Running, now: float, *, quiet: bool = False
    ) -> tuple[Plan, Plan]:
        """Return all that is to be done, and what of it now: no reload that was just refused."""
        whole = make_plan(decision.desired, decision.rendered, running, quiet=quiet)
        if not is_held_back(self._refusal, whole, running, now):
            return whole, whole
        return whole, make_plan(decision.desired, decision.rendered, running, reload=False)

    def _carry_out(self, plan: Plan, running: Running, now: float) -> None:
        try:
            self._proxy.apply(plan)
        except CommandRejected:
            raise  # a step before the reload
        except ProxyctlError as error:
            if plan.cost == "reload":
                self._refusal = refused(self._refusal, plan, running, str(error), now)
            raise
        if plan.cost == "reload":
            self._refusal = None

    def _blind(self, running: Running) -> bool:
        """Tell whether HAProxy may serve workloads of a source that we never heard of."""
        if not self._is_blind():
            return False
        ours = (name for name in running.sections if not name.startswith("backend/:"))
        return any(name.startswith("backend/") for name in ours)


def _is_done(plan: Plan, done: Iterable[Plan]) -> bool:
    """Tell whether nothing is left, but servers whose last connections have to end first."""
    tried = {step for before in done for step in before.steps}
    mild = (RemoveServer, CutSessions)
    return all(isinstance(step, mild) and step in tried for step in plan.steps)
