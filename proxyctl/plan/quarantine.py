"""Who is to blame when `haproxy -c` refuses: one workload's mistake must not stop the others."""

from collections.abc import Callable, Iterable

from proxyctl.state.model import Desired
from proxyctl.state.render import Rendered


def suspects(
    desired: Desired, rendered: Rendered, alerts: Iterable[tuple[int | None, str]]
) -> frozenset[str]:
    """Return the uids of the workloads in whose sections HAProxy found fault."""
    owners = {f"backend/{backend.name}": backend.owners for backend in desired.backends}
    lines = (line for line, _ in alerts if line)
    return frozenset(uid for line in lines for uid in owners.get(rendered.section_at(line), ()))


def culprits(uids: Iterable[str], is_good: Callable[[frozenset[str]], bool]) -> frozenset[str]:
    """Return those of *uids* that cannot be served, found by bisection.

    `is_good` tells whether a configuration with only these workloads is accepted; it is asked
    about 2 log2(n) times for each culprit. Without any workload it must be True.
    """
    good: frozenset[str] = frozenset()
    bad: frozenset[str] = frozenset()
    pending = [sorted(uids)]
    while pending:
        group = pending.pop()
        if not group:
            continue
        if is_good(good | frozenset(group)):
            good |= frozenset(group)
        elif len(group) == 1:
            bad |= frozenset(group)
        else:
            half = len(group) // 2
            pending += [group[half:], group[:half]]
    return bad
