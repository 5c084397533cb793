"""Who starts again and again, and until when it is put off. Pure: times come in as values.

5 starts within 60 s        it flaps: the 5th is put off 1 s, each further one twice as long,
                            at most 60 s, counted from the start
it starts again meanwhile   put off anew, longer
60 s without a start, after it was let in again         as if it had never been
"""

from dataclasses import dataclass

MANY = 5
WINDOW = 60.0
"""Seconds: so many starts within so long are too many."""
FIRST, LONGEST = 1.0, 60.0
"""Seconds that a start is put off: at first, and at most."""
STEADY = 60.0
"""Seconds that it has to stay once it was let in again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Starts:
    """The recent starts of one pod or container."""

    last: int
    """Podman's time of the last one, in seconds: another one is another start."""
    seen: tuple[float, ...]
    """When those within the window were seen, oldest first, on the clock of who asks."""
    late: int = 0
    """Starts since it flaps; 0: it does not."""

    @property
    def until(self) -> float:
        """Return until when the last start is put off; what has passed if it is not."""
        if not self.late:
            return self.seen[-1]
        return self.seen[-1] + min(LONGEST, FIRST * 2.0 ** min(self.late - 1, 16))


def with_start(before: Starts | None, started: int, now: float) -> Starts:
    """Return the history with a start at Podman's time `started`, if it is a new one.

    A start that was not seen (two within a second, or between two looks) is not counted.
    """
    if before is None or (before.last != started and now > before.until + STEADY):
        return Starts(last=started, seen=(now,))
    if before.last == started:
        over = before.late and now > before.until + STEADY
        return Starts(last=started, seen=before.seen[-1:]) if over else before
    seen = (*(moment for moment in before.seen if moment > now - WINDOW), now)
    late = before.late + 1 if before.late or len(seen) >= MANY else 0
    return Starts(last=started, seen=seen, late=late)
