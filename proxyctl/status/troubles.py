"""The words for what is wrong with the host, not with one workload's labels: PX301 to PX499."""

from proxyctl.problems import ConfigRejected, Problem, Severity
from proxyctl.routes.workload import Kind, Workload

STUCK = "PX306"


def rejected(workload: Workload, error: ConfigRejected) -> Problem:
    """`haproxy -c` refuses the configuration because of this workload."""
    return Problem(
        id="PX301",
        subject=workload.subject,
        summary="makes HAProxy refuse the configuration",
        where=str(error),
        effect=f"the {workload.kind} is left out; all others are served",
        fix=f"see what is made of its labels: proxyctl render {workload.name}",
        workload=workload.uid,
    )


def stumbled(workload: Workload, error: ConfigRejected) -> Problem:
    """We cannot decide anything about this workload, which is our own mistake."""
    return Problem(
        id="PX305",
        subject=workload.subject,
        summary="makes proxyctl stumble, which is a mistake of proxyctl's",
        where=str(error),
        effect=f"the {workload.kind} is left out; all others are served",
        fix="please report it, with the labels of that workload",
        workload=workload.uid,
    )


def stuck(error: str) -> Problem:
    """A cycle ended in something that should not happen."""
    return Problem(
        id=STUCK,
        subject="proxyctl",
        summary="stumbles, which is a mistake of its own",
        where=error,
        effect="HAProxy keeps what it serves; nothing changes until it is over; it is tried again",
        fix="please report it, with what the log says (journalctl -u proxyctl)",
    )


def settings_refused(error: str) -> Problem:
    """What config.toml says by now was not taken over."""
    return Problem(
        id="PX307",
        subject="config.toml",
        summary="has a mistake, and was not taken over",
        where=error,
        effect="the settings of before stay in force; with these the service could not start",
        fix="mend it: proxyctl check      then: systemctl reload proxyctl",
        severity=Severity.WARNING,
    )


def start_it(mode: str) -> str:
    """Return what to do about a HAProxy that does not run."""
    return {
        "embedded": "proxyctl run starts it",
        "own": "systemctl start proxyctl-haproxy",
        "attach": "systemctl start haproxy",
    }[mode]


def rejected_without_routes(error: str, *, own_templates: bool, mode: str) -> Problem:
    """`haproxy -c` refuses the configuration even without any workload."""
    if own_templates:
        fix = "mend or remove the templates in templates/"
    elif mode == "attach":
        fix = "mend what it names: a file of check-files, or a setting of config.toml"
    else:
        fix = "mend the setting of config.toml that it names; else please report it"
    return Problem(
        id="PX302",
        subject="the configuration",
        summary="is refused by HAProxy whatever the labels say",
        where=error,
        effect="the last good one stays in force; without one nothing is published",
        fix=fix,
    )


def haproxy_unavailable(error: str) -> Problem:
    """HAProxy's program is not there, is too old, or does not do its work."""
    return Problem(
        id="PX303",
        subject="HAProxy",
        summary="cannot be used",
        where=error,
        effect="no change is carried out; a HAProxy that runs goes on serving",
        fix="install HAProxy 2.6 or newer, or name it: haproxy.binary in config.toml",
    )


def haproxy_absent(where: str, mode: str) -> Problem:
    """HAProxy does not run, and its unit is to start it."""
    also = "      (it needs a master socket, -S: docs/modes.md)" if mode == "attach" else ""
    return Problem(
        id="PX303",
        subject="HAProxy",
        summary="does not run",
        where=where,
        effect="nothing is served; what it is to serve is written, and filled in when it comes",
        fix=f"{start_it(mode)}{also}",
    )


def http3_refused(error: str) -> Problem:
    """HAProxy cannot listen for HTTP/3."""
    return Problem(
        id="PX428",
        subject="HTTP/3",
        summary="is left out: HAProxy cannot listen for it",
        where=error,
        effect="all is served by HTTP/2 and HTTP/1.1",
        fix="mend what it names (who has the port: ss -lunp), then: systemctl reload proxyctl"
        "      (or set http3 = false)",
        severity=Severity.WARNING,
    )


def not_applied(error: str) -> Problem:
    """HAProxy did not do what the plan said."""
    return Problem(
        id="PX304",
        subject="HAProxy",
        summary="did not take the last change",
        where=error,
        effect="it serves what it served before; the change is tried again",
        fix="what is still to be done: proxyctl diff",
    )


def source_unavailable(name: str, error: str, *, known: bool) -> Problem:
    """Podman does not answer."""
    effect = (
        "its workloads are served as they were last seen"
        if known
        else "none of its workloads is published, and HAProxy keeps what it serves"
    )
    systemctl = "systemctl --user" if "/run/user/" in error else "systemctl"
    return Problem(
        id="PX401",
        subject=f'source "{name.rstrip(":")}"',
        summary="does not answer",
        where=error,
        effect=effect,
        fix=f"{systemctl} enable --now podman.socket      (it is tried again by itself)",
    )


def flapping(workload: Workload, container: str) -> Problem:
    """A workload, or one of its containers, starts again and again.

    Without the number of starts: with it, each start would be another problem in the log.
    """
    effect = "it is held back, longer each time, until it stays; its route waits, as if it stopped"
    if container:
        effect = "requests may fail while it is down; the rest of the pod stays published"
    return Problem(
        id="PX406",
        subject=workload.subject,
        summary="starts again and again",
        where=f'container "{container}"' if container else workload.uid,
        effect=f"{effect}; no other {workload.kind} is touched",
        fix=look_at(workload, container),
        severity=Severity.WARNING,
        workload=workload.uid,
    )


def look_at(workload: Workload, container: str) -> str:
    """Return the command that shows why a workload ended."""
    if workload.kind is Kind.POD and not container:
        return f"podman pod logs {workload.name}"
    return f"podman logs {container or workload.name}"
