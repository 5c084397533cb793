"""What HAProxy is to be, decided until `haproxy -c` accepts it.

it refuses                  the workloads at fault are left out, the others go live
it refuses a certificate     the copy of it that was accepted last is served instead
it refuses without any      the templates that were accepted last are used instead
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from proxyctl.decision import Decision, Keyring, decide
from proxyctl.files.memory import Memory
from proxyctl.files.templates import merged
from proxyctl.plan.part import Part
from proxyctl.plan.quarantine import culprits, suspects
from proxyctl.problems import ConfigRejected, HAProxyUnavailable, Problem
from proxyctl.recent import Recent
from proxyctl.routes.claims import translate
from proxyctl.routes.workload import Workload
from proxyctl.settings import Settings
from proxyctl.standing import MANY, Change, Standing, passes
from proxyctl.state.certificates import Choice, alone
from proxyctl.state.desired import desired
from proxyctl.state.model import CERTS, Global
from proxyctl.state.render import CONFIG, Rendered
from proxyctl.state.spares import SHAPING_TEMPLATES
from proxyctl.status import troubles

_OF_A_CERTIFICATE = re.compile(rf"{CERTS}/([A-Za-z0-9_.@-]+)\.pem")


@dataclass(frozen=True, slots=True, kw_only=True)
class PartDecision:
    """What was decided about those whom a change concerns."""

    uids: frozenset[str]
    decision: Decision
    part: Part
    """What the change is about, before it and after it."""


class Admission:
    """Decides for one reconciler, and remembers who was refused."""

    def __init__(  # noqa: PLR0913 - the same, and who is asked
        self,
        *,
        settings: Settings,
        identity: Global,
        overrides: Callable[[], Mapping[str, str]],
        check: Callable[[Mapping[str, str]], None],
        accepted: Mapping[str, str],
        keyring: Keyring,
    ) -> None:
        """`overrides` reads the administrator's templates, `check` asks `haproxy -c`.

        `accepted`: the administrator's templates that were accepted last.
        """
        self.templates = dict(accepted)
        """Those of the administrator's templates that are in force."""
        self._settings = settings
        self._identity = identity
        self._overrides = overrides
        self._ask = check
        self._keyring = keyring
        self._own: dict[str, str] = {}
        self._accepted: Mapping[str, str] = {}
        """The files that `haproxy -c` accepted last, without the maps: to ask once only."""
        self._quarantine: dict[Workload, Problem] = {}
        self._recent = Recent()

    def draft(self, workloads: Iterable[Workload], memory: Memory) -> Decision | None:
        """Decide without asking `haproxy -c`: good enough for what the runtime API checks.

        None if the administrator's templates have changed: that is for `admit`.
        """
        self._recent.turn()
        try:
            if dict(self._overrides()) != self.templates:
                return None
            decision = self._decide(tuple(workloads), memory, self.templates)
        except ConfigRejected:
            return None
        return replace(decision, problems=(*decision.problems, *self.left_out))

    @property
    def left_out(self) -> tuple[Problem, ...]:
        """Return the problems of the workloads that `haproxy -c` refused."""
        return tuple(self._quarantine.values())

    def draft_part(
        self, standing: Standing, change: Change, memory: Memory
    ) -> PartDecision | None:
        """Decide as `draft` does, about those only whom the change concerns; None if many."""
        if dict(self._overrides()) != self.templates:
            return None
        fresh = [workload for workload in change.fresh if workload not in self._quarantine]
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
            problems = (troubles.rejected_without_routes(str(unreadable), own_templates=True),)
        if own != self._own:  # what was refused with other templates deserves another try
            self._own = own
            self._quarantine.clear()
        for templates in (own, self.templates) if self.templates != own else (own,):
            try:
                decision = self._admitted(workloads, memory, templates)
            except ConfigRejected as rejected:
                text = str(rejected)
                problems += (troubles.rejected_without_routes(text, own_templates=bool(own)),)
                continue
            except HAProxyUnavailable as missing:
                return None, (*problems, troubles.haproxy_unavailable(str(missing)))
            self.templates = templates
            return decision, (*problems, *decision.problems)
        return None, problems

    def _admitted(
        self, workloads: tuple[Workload, ...], memory: Memory, templates: Mapping[str, str]
    ) -> Decision:
        for gone in self._quarantine.keys() - set(workloads):
            del self._quarantine[gone]
        decision, rejected = self._with_good_certificates(workloads, memory, templates)
        if rejected:
            for workload in self._culprits(workloads, memory, templates, decision, rejected):
                self._quarantine[workload] = troubles.rejected(workload, rejected)
            decision = self._decide(workloads, memory, templates)
            self._check(decision.rendered)
        self._keyring.accepted(one.name for one in decision.desired.certificates)
        return replace(decision, problems=(*decision.problems, *self.left_out))

    def _with_good_certificates(
        self, workloads: tuple[Workload, ...], memory: Memory, templates: Mapping[str, str]
    ) -> tuple[Decision, ConfigRejected | None]:
        """Return a decision without certificates that HAProxy refuses, and its other refusal."""
        while True:
            decision = self._decide(workloads, memory, templates)
            try:
                self._check(decision.rendered)
            except ConfigRejected as rejected:
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
        identity = self._identity
        if SHAPING_TEMPLATES & templates.keys():
            # A spare backend would not look as the administrator wants backends to look.
            identity = replace(identity, spares=())
        return decide(
            admitted,
            self._settings,
            identity,
            memory,
            merged(templates),
            keyring=self._keyring,
            recent=self._recent,
        )

    def _check(self, rendered: Rendered) -> None:
        names = [name for name in rendered.texts if name == CONFIG or name.startswith(CERTS)]
        texts = {name: rendered.texts[name] for name in names}
        if texts != self._accepted:
            self._ask(rendered.texts)
            self._accepted = texts

    def _culprits(
        self,
        workloads: tuple[Workload, ...],
        memory: Memory,
        templates: Mapping[str, str],
        decision: Decision,
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

        uids = frozenset(claim.workload.uid for claim in decision.translation.claims)
        self._check(self._decide(workloads, memory, templates, frozenset()).rendered)
        guilty = suspects(decision.desired, decision.rendered, rejected.alerts)
        if not guilty or not is_good(uids - guilty):
            guilty = culprits(uids, is_good)
        if guilty == uids and templates != self.templates:
            raise rejected  # new templates that suit nobody are at fault, not the pods
        return tuple(workload for workload in workloads if workload.uid in guilty)
