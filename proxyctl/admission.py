"""What HAProxy is to be, decided until `haproxy -c` accepts it.

it refuses                  the workloads at fault are left out, the others go live
it refuses a certificate     the copy of it that was accepted last is served instead
it refuses HTTP/3            it is left out, until the settings are read again
it refuses without any      the templates that were accepted last are used instead
we stumble ourselves        as if it refused

What it has refused is not asked again (`forget_refusals` ends that): not the same text, and of the
administrator's templates nothing until they change.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from proxyctl.decision import Decision, Keyring, decide, draw
from proxyctl.files.memory import Memory
from proxyctl.files.templates import merged
from proxyctl.plan.part import Part
from proxyctl.plan.quarantine import culprits, suspects
from proxyctl.problems import ConfigRejected, HAProxyUnavailable, Problem, ProxyctlError, Stumbled
from proxyctl.recent import Recent
from proxyctl.routes.claims import translate
from proxyctl.routes.conflicts import Share
from proxyctl.routes.workload import Workload
from proxyctl.settings import Settings
from proxyctl.standing import MANY, Change, Standing, passes
from proxyctl.state import http3
from proxyctl.state.certificates import Choice, alone
from proxyctl.state.desired import desired
from proxyctl.state.digest import digest
from proxyctl.state.model import CERTS, Desired, Global, Quic
from proxyctl.state.render import CONFIG, Rendered
from proxyctl.state.spares import SHAPING_TEMPLATES
from proxyctl.status import troubles

_OF_A_CERTIFICATE = re.compile(rf"{CERTS}/([A-Za-z0-9_.@-]+)\.pem")
VERDICTS = 64
"""So many answers of `haproxy -c` are remembered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartDecision:
    """What was decided about those whom a change concerns."""

    uids: frozenset[str]
    decision: Decision
    part: Part
    """What the change is about, before it and after it."""


@contextmanager
def _stumbling() -> Iterator[None]:
    """Turn what should not happen while something is decided into Stumbled."""
    try:
        yield
    except ProxyctlError:
        raise
    except Exception as error:
        raise Stumbled(error) from error


class Admission:
    """Decides for one reconciler, and remembers who was refused."""

    def __init__(  # noqa: PLR0913 - the same, and who is asked
        self,
        *,
        settings: Settings,
        identity: Global,
        overrides: Callable[[], Mapping[str, str]],
        check: Callable[[Mapping[str, str]], None],
        quic: Callable[[], Quic],
        accepted: Mapping[str, str],
        keyring: Keyring,
    ) -> None:
        """`overrides` reads the administrator's templates, `check` asks `haproxy -c`.

        `quic` tells what HAProxy's program has of it.
        `accepted`: the administrator's templates that were accepted last.
        """
        self.templates = dict(accepted)
        """Those of the administrator's templates that are in force."""
        self._settings = settings
        self._wants_http3 = http3.is_wanted_anywhere(settings)
        self._identity = identity
        self._overrides = overrides
        self._ask = check
        self._quic = quic
        self._without_http3 = ""
        """Why there is none, "" where there may be."""
        self._keyring = keyring
        self._own: dict[str, str] = {}
        self._verdicts: dict[str, ConfigRejected | None] = {}
        """Digest of a haproxy.cfg with its certificates -> what `haproxy -c` said: the last ones,
        to ask once only."""
        self._refused: Problem | None = None
        """Of the templates in `_own`, if nothing can be made of them."""
        self._quarantine: dict[Workload, Problem] = {}
        self._recent = Recent()

    def forget_refusals(self) -> None:
        """Ask again about what was refused: files that it names may be there by now."""
        self._refused = None
        self._verdicts = {text: said for text, said in self._verdicts.items() if said is None}

    def draft(self, workloads: Iterable[Workload], memory: Memory) -> Decision | None:
        """Decide without asking `haproxy -c`: good enough for what the runtime API checks.

        None if the administrator's templates have changed: that is for `admit`.
        """
        self._recent.turn()
        if self._has_other_templates():
            return None
        try:
            decision = self._decide(tuple(workloads), memory, self.templates)
        except ConfigRejected:
            return None
        return replace(decision, problems=(*self.problems, *decision.problems))

    def draw(self, shares: Iterable[Share], memory: Memory) -> tuple[Desired, Rendered]:
        """Return what HAProxy is to be for *shares*. Changes nothing: for any thread."""
        return draw(
            shares,
            self._settings,
            self._identity_with(self.templates),
            memory,
            merged(self.templates),
            stock=self._keyring.stock,
        )

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Return what `haproxy -c` refused: templates, and workloads."""
        refused = (self._refused,) if self._refused else ()
        return (*refused, *self._of_http3(), *self._quarantine.values())

    def _of_http3(self) -> tuple[Problem, ...]:
        why = self._without_http3
        return (troubles.http3_refused(why),) if why else ()

    def fault_of_http3(self, rendered: Rendered, alerts: Iterable[tuple[int | None, str]]) -> str:
        """Return what HAProxy says against HTTP/3; "" if nothing, or if it is left out already."""
        return "" if self._without_http3 else http3.blamed(rendered.texts[CONFIG], alerts)

    def leave_out_http3(self, why: str) -> None:
        """Decide without it from now on: a port that is taken must not hold up everything else."""
        self._without_http3 = why

    def _has_other_templates(self) -> bool:
        """Tell whether the administrator has templates that were not judged yet."""
        try:
            own = dict(self._overrides())
        except ConfigRejected:
            return True
        return own != (self._own if self._refused else self.templates)

    def draft_part(
        self, standing: Standing, change: Change, memory: Memory
    ) -> PartDecision | None:
        """Decide as `draft` does, about those only whom the change concerns; None if many."""
        if self._has_other_templates():
            return None
        fresh = [workload for workload in change.fresh if workload not in self._quarantine]
        with _stumbling():
            claims = translate(fresh, self._settings, standing.good, self._recent).claims
        if standing.passes_on or any(map(passes, claims)):
            return None
        uids = standing.around(change, claims)
        if len(uids) > MANY:
            return None
        decision = self._decide(
            standing.members(change, uids), standing.remembered_of(memory, uids), self.templates
        )
        own = alone(decision.desired.certificates, self._keyring.stock)
        if own is None:
            return None
        decision = replace(decision, desired=replace(decision.desired, certificates=own))
        shares = standing.shares_of(uids)
        overrides = dict(memory.overrides)
        before = desired(shares, self._settings, self._identity, overrides, Choice())
        return PartDecision(uids=uids, decision=decision, part=Part.of((before, decision.desired)))

    def admit(
        self, workloads: Iterable[Workload], memory: Memory
    ) -> tuple[Decision | None, tuple[Problem, ...]]:
        """Return a decision that `haproxy -c` accepts, and the problems that this brought up."""
        self._recent.turn()
        workloads = tuple(workloads)
        problems: tuple[Problem, ...] = ()
        try:
            own = dict(self._overrides())
        except ConfigRejected as unreadable:
            own = self.templates
            problems = (self._problem_of(unreadable, own_templates=True),)
        if own != self._own:  # what was refused with other templates deserves another try
            self._own, self._refused = own, None
            self._quarantine.clear()
        if self._refused:
            problems += (self._refused,)
        for templates in self._candidates(own):
            try:
                decision = self._admitted(workloads, memory, templates)
            except ConfigRejected as rejected:
                problem = self._problem_of(rejected, own_templates=bool(own))
                if templates != self.templates:
                    self._refused = problem
                problems += (problem,)
                continue
            except HAProxyUnavailable as missing:
                return None, (*problems, troubles.haproxy_unavailable(str(missing)))
            self.templates = templates
            return decision, (*problems, *decision.problems)
        return None, problems

    def _candidates(self, own: dict[str, str]) -> tuple[dict[str, str], ...]:
        if own == self.templates:
            return (own,)
        return (self.templates,) if self._refused else (own, self.templates)

    def _problem_of(self, error: ConfigRejected, *, own_templates: bool) -> Problem:
        mode = self._settings.haproxy.mode
        return troubles.rejected_without_routes(str(error), own_templates=own_templates, mode=mode)

    def _admitted(
        self, workloads: tuple[Workload, ...], memory: Memory, templates: Mapping[str, str]
    ) -> Decision:
        for gone in self._quarantine.keys() - set(workloads):
            del self._quarantine[gone]
        decision, rejected = self._without_refused_extras(workloads, memory, templates)
        if rejected:
            explained = troubles.stumbled if isinstance(rejected, Stumbled) else troubles.rejected
            for workload in self._culprits(workloads, memory, templates, decision, rejected):
                self._quarantine[workload] = explained(workload, rejected)
            decision = self._decide(workloads, memory, templates)
            self._check(decision.rendered)
        assert decision, "only who was refused has none"
        self._keyring.accepted(one.name for one in decision.desired.certificates)
        mine = (*self._of_http3(), *self._quarantine.values())
        return replace(decision, problems=(*decision.problems, *mine))

    def _without_refused_extras(
        self, workloads: tuple[Workload, ...], memory: Memory, templates: Mapping[str, str]
    ) -> tuple[Decision | None, ConfigRejected | None]:
        """Return a decision without certificates and HTTP/3 that HAProxy refuses.

        And its other refusal, if there is one. No decision where we stumble ourselves.
        """
        while True:
            try:
                decision = self._decide(workloads, memory, templates)
            except Stumbled as stumbled:
                return None, stumbled
            try:
                self._check(decision.rendered)
            except ConfigRejected as rejected:
                if fault := self.fault_of_http3(decision.rendered, rejected.alerts):
                    self.leave_out_http3(fault)
                    continue
                found = _OF_A_CERTIFICATE.search(str(rejected))
                if not found or self._keyring.refused(found[1], str(rejected)) is None:
                    return decision, rejected
            else:
                return decision, None

    def _decide(
        self,
        workloads: tuple[Workload, ...],
        memory: Memory,
        templates: Mapping[str, str],
        only: frozenset[str] | None = None,
    ) -> Decision:
        admitted = [
            w for w in workloads if w not in self._quarantine and (only is None or w.uid in only)
        ]
        with _stumbling():
            return decide(
                admitted,
                self._settings,
                self._identity_with(templates),
                memory,
                merged(templates),
                keyring=self._keyring,
                recent=self._recent,
            )

    def _identity_with(self, templates: Mapping[str, str]) -> Global:
        identity = replace(self._identity, quic=self._usable_quic())
        if SHAPING_TEMPLATES & templates.keys():
            # A spare backend would not look as the administrator wants backends to look.
            return replace(identity, spares=())
        return identity

    def _usable_quic(self) -> Quic:
        """Return what may be used; nobody is asked where nobody wants it."""
        if not self._wants_http3:
            return Quic.NONE
        return Quic.OFF if self._without_http3 else self._quic()

    def _check(self, rendered: Rendered) -> None:
        read = (t for n, t in sorted(rendered.texts.items()) if n == CONFIG or n.startswith(CERTS))
        text = digest("\n".join(read))
        if text not in self._verdicts:
            self._verdicts[text] = self._asked(rendered)
            while len(self._verdicts) > VERDICTS:
                del self._verdicts[next(iter(self._verdicts))]
        if refusal := self._verdicts[text]:
            raise ConfigRejected(refusal.alerts)  # another one: it has a traceback of its own

    def _asked(self, rendered: Rendered) -> ConfigRejected | None:
        try:
            self._ask(rendered.texts)
        except ConfigRejected as rejected:
            return rejected
        return None

    def _culprits(
        self,
        workloads: tuple[Workload, ...],
        memory: Memory,
        templates: Mapping[str, str],
        decision: Decision | None,
        rejected: ConfigRejected,
    ) -> tuple[Workload, ...]:
        """Return the workloads without which the configuration is accepted.

        Raises ConfigRejected if it is refused without any: nobody's fault.
        """

        def is_good(uids: frozenset[str]) -> bool:
            try:
                self._check(self._decide(workloads, memory, templates, uids).rendered)
            except ConfigRejected:
                return False
            return True

        self._check(self._decide(workloads, memory, templates, frozenset()).rendered)
        if decision:
            uids = frozenset(claim.workload.uid for claim in decision.translation.claims)
            guilty = suspects(decision.desired, decision.rendered, rejected.alerts)
        else:
            uids, guilty = frozenset(workload.uid for workload in workloads), frozenset()
        if not guilty or not is_good(uids - guilty):
            guilty = culprits(uids, is_good)
        if guilty == uids and templates != self.templates:
            raise rejected  # new templates that suit nobody are at fault, not the pods
        return tuple(workload for workload in workloads if workload.uid in guilty)
