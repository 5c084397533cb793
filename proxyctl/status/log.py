"""The log: one line for a cycle that changed something, to stderr, where systemd picks it up."""

import logging
import os
import sys

from proxyctl.problems import Severity
from proxyctl.status.view import View

_LEVELS = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3}


class _Formatter(logging.Formatter):
    """Begins lines with sd-daemon's level (`<6>`) under systemd, else with the time."""

    def __init__(self, *, journal: bool) -> None:
        super().__init__("%(message)s")
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if not self._journal:
            level = record.levelname.lower()
            told = text.startswith(f"{level} ")  # a problem begins with its severity
            return f"{self.formatTime(record)} {text if told else f'{level} {text}'}"
        prefix = f"<{_LEVELS.get(record.levelno, 6)}>"
        return "\n".join(prefix + line for line in text.splitlines())


def to_stderr(level: int = logging.INFO) -> None:
    """Log to stderr from now on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter(journal="JOURNAL_STREAM" in os.environ))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("urllib3", "podman", "watchdog", "waitress"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def tell(view: View, known: frozenset[object] = frozenset()) -> None:
    """Log what a cycle changed, and the problems that are new."""
    log = logging.getLogger("proxyctl")
    for problem in view.problems:
        if problem not in known:
            level = logging.ERROR if problem.severity is Severity.ERROR else logging.WARNING
            log.log(level, problem.text())
    if view.applied and view.changes:
        change = view.changes[-1]
        log.info(
            "%s: %s, %d ms (%s)",
            change.cost,
            " | ".join(change.steps),
            change.milliseconds,
            ", ".join(change.causes),
        )
