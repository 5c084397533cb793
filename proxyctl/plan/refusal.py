"""A reload that HAProxy refused: until when the same one is not tried again.

Trying costs: each try writes all files twice, and with a 2.6 that cannot bind a port it takes 2 s.
Whatever could have changed HAProxy's mind is another try at once: other sections, another process.
"""

from dataclasses import dataclass

from proxyctl.plan.steps import Plan
from proxyctl.state.digest import digest
from proxyctl.state.model import Running
from proxyctl.state.render import SECTIONS_MAP

FIRST = 1.0
LONGEST = 60.0
"""Seconds until the same is tried again: at first, and at most; twice as long each time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What was refused last."""

    what: str
    """Stands for the sections (all that a reload can change) and for the process."""
    error: str
    """HAProxy's words."""
    until: float
    """When it may be tried again, on the clock of who asks."""
    times: int = 1


def refused(
    before: Refusal | None, plan: Plan, running: Running, error: str, now: float
) -> Refusal:
    """Return what is to be remembered of a refused reload; `now` is in seconds."""
    what = _what(plan, running)
    times = before.times + 1 if before and before.what == what else 1
    return Refusal(
        what=what,
        error=error,
        until=now + min(LONGEST, FIRST * 2.0 ** min(times - 1, 16)),
        times=times,
    )


def is_held_back(refusal: Refusal | None, plan: Plan, running: Running, now: float) -> bool:
    """Tell whether the reload of a plan was refused a short while ago."""
    if refusal is None or plan.cost != "reload" or now >= refusal.until:
        return False
    return refusal.what == _what(plan, running)


def _what(plan: Plan, running: Running) -> str:
    return f"{running.pid} {digest(plan.texts.get(SECTIONS_MAP, ''))}"
