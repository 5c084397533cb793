"""proxyctl's own labels: from `proxyctl.host=git.example.com` to keys and texts of routes.

    proxyctl.<key>                  the workload's default route
    proxyctl.route.<name>.<key>     a named route; inherits the unnamed keys
    proxyctl.x-<anything>           free for the user
    proxyctl.enable=false           switches the workload off

Which labels belong together is settled here; what their values mean is the business of `Route`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import lru_cache

from proxyctl.problems import Problem
from proxyctl.routes import mistakes
from proxyctl.routes.route import is_hint
from proxyctl.routes.values import parse_bool
from proxyctl.routes.workload import Labels, Member, Workload

PREFIX = "proxyctl."
_ROUTE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}", re.ASCII)
_NOT_INHERITED = frozenset({"group", "redirect-from"})
_OPT_IN = frozenset({"host", "mode", "entrypoint"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A route as it was asked for: texts by key."""

    name: str
    """"" is the workload's default route."""
    prefix: str
    """What stands before the keys in the user's labels."""
    own: Mapping[str, str]
    inherited: Mapping[str, str] = field(default_factory=dict)
    """From the unnamed keys; `own` wins."""
    hints: Mapping[str, str] = field(default_factory=dict)
    """From images and members; everything else wins."""
    member: Member | None = None
    """The container whose labels ask for it; None: the workload's own labels."""

    def label(self, key: str) -> str:
        """Return the label that gave *key* its value, or that would, as the user writes it."""
        inherited = key in self.inherited and key not in self.own
        return (PREFIX if inherited else self.prefix) + key


@dataclass(slots=True)
class _Scope:
    """The labels of one object, sorted by what they belong to."""

    unnamed: dict[str, str] = field(default_factory=dict)
    named: dict[str, dict[str, str]] = field(default_factory=dict)
    enabled: bool = True


def read(workload: Workload) -> tuple[tuple[Asked, ...], tuple[Problem, ...]]:
    """Return the routes that a workload's labels ask for, and what is wrong with the labels."""
    problems: list[Problem] = []
    own = _scope(workload, workload.labels, problems)
    shared = frozenset(workload.labels)
    scopes = [
        (
            member,
            _scope(workload, (item for item in member.labels if item not in shared), problems),
        )
        for member in workload.members
    ]
    if not own.enabled:
        return (), ()
    asked = tuple(_routes(own, scopes, _image_hints(workload)))
    if not asked and (own.unnamed or any(scope.unnamed for _, scope in scopes)):
        # Nothing asks to be published; a misspelt host may be why, so that it is looked into.
        unnamed = {k: v for _, scope in scopes for k, v in scope.unnamed.items()} | own.unnamed
        asked = (Asked(name="", prefix=PREFIX, own=unnamed),)
    return asked, tuple(problems)


def _scope(
    workload: Workload, labels: Iterable[tuple[str, str]], problems: list[Problem]
) -> _Scope:
    scope = _Scope()
    for label, value in labels:
        if not label.startswith(PREFIX):
            if _is_near(label):
                problems.append(mistakes.near_prefix(workload, label, value))
            continue
        key = label.removeprefix(PREFIX)
        if key.startswith("x-"):
            continue
        if key == "enable":
            try:
                scope.enabled = parse_bool(value)
            except ValueError as error:
                problems.append(mistakes.bad_value(workload, label, key, value, str(error)))
        elif not key.startswith("route."):
            scope.unnamed[key] = value
        else:
            name, _, rest = key.removeprefix("route.").partition(".")
            if rest and _ROUTE_NAME.fullmatch(name):
                scope.named.setdefault(name, {})[rest] = value
            else:
                problems.append(mistakes.unknown_label(workload, label, key, value))
    return scope


@lru_cache(maxsize=4096)  # thousands of workloads have the same few labels of others
def _is_near(label: str) -> bool:
    """Tell whether a label was meant to begin with `proxyctl.` (proxctl.host, proxyctl_host)."""
    if label.lower().startswith("proxyctl"):
        return True
    head, dot, _ = label.lower().partition(".")
    return bool(dot) and SequenceMatcher(None, head, "proxyctl").ratio() >= 0.8


def _routes(
    own: _Scope, scopes: list[tuple[Member, _Scope]], image: Mapping[str, str]
) -> Iterable[Asked]:
    extra = _agreed(scope.unnamed for _, scope in scopes if not _OPT_IN & scope.unnamed.keys())
    hints = {**image, **extra}
    if _OPT_IN & own.unnamed.keys():
        yield Asked(name="", prefix=PREFIX, own=own.unnamed, hints=hints)
    inherited = {key: v for key, v in own.unnamed.items() if key not in _NOT_INHERITED}
    for name, keys in sorted(own.named.items()):
        yield _named(name, keys, inherited, hints)
    for member, scope in scopes:
        # A port belongs to one container: one that has its own does not take over the pod's.
        of_pod = {k: v for k, v in inherited.items() if k != "port" or not member.exposed}
        if _OPT_IN & scope.unnamed.keys():
            yield Asked(
                name=member.name,
                prefix=PREFIX,
                own=scope.unnamed,
                inherited=of_pod,
                hints=_hints_of(member),
                member=member,
            )
        unnamed = {key: v for key, v in scope.unnamed.items() if key not in _NOT_INHERITED}
        for name, keys in sorted(scope.named.items()):
            if name not in own.named:  # the pod's labels win over its containers'
                yield _named(name, keys, {**unnamed, **of_pod}, _hints_of(member), member)


def _named(
    name: str,
    own: Mapping[str, str],
    inherited: Mapping[str, str],
    hints: Mapping[str, str],
    member: Member | None = None,
) -> Asked:
    return Asked(
        name=name,
        prefix=f"{PREFIX}route.{name}.",
        own=own,
        inherited=inherited,
        hints=hints,
        member=member,
    )


def _hints_of(member: Member) -> dict[str, str]:
    """Return what an image may say about itself; where to publish it is not for it to say."""
    labels = ((label.removeprefix(PREFIX), v) for label, v in member.image_labels
              if label.startswith(PREFIX))  # fmt: skip
    return {key: value for key, value in labels if is_hint(key)}


def _image_hints(workload: Workload) -> dict[str, str]:
    return _agreed(_hints_of(member) for member in workload.members)


def _agreed(scopes: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return the keys about which nobody disagrees."""
    values: dict[str, set[str]] = {}
    for scope in scopes:
        for key, value in scope.items():
            values.setdefault(key, set()).add(value)
    return {key: next(iter(found)) for key, found in values.items() if len(found) == 1}


def labels_of_table(table: Mapping[str, object], prefix: str = "") -> Labels:
    """Return a TOML table (a static route, a preset) as label keys and texts."""
    found: list[tuple[str, str]] = []
    for key, value in table.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found.extend(labels_of_table(value, f"{name}."))
        elif isinstance(value, bool):
            found.append((name, str(value).lower()))
        elif isinstance(value, list | tuple):
            found.append((name, ",".join(map(str, value))))
        else:
            found.append((name, str(value)))
    return tuple(sorted(found))
