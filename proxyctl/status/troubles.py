"""The words for what is wrong with the host, not with one workload's labels: PX301 to PX499."""

from proxyctl.problems import ConfigRejected, Problem
from proxyctl.routes.workload import Workload


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


def rejected_without_routes(error: str, *, own_templates: bool) -> Problem:
    """`haproxy -c` refuses the configuration even without any workload."""
    fix = "mend or remove the templates in templates/" if own_templates else "proxyctl check"
    return Problem(
        id="PX302",
        subject="the configuration",
        summary="is refused by HAProxy whatever the labels say",
        where=error,
        effect="the last good one stays in force",
        fix=fix,
    )


def haproxy_unavailable(error: str) -> Problem:
    """HAProxy's program or socket is not there."""
    return Problem(
        id="PX303",
        subject="HAProxy",
        summary="cannot be used",
        where=error,
        effect="no change is carried out",
        fix="is it installed, and does it run?      systemctl status proxyctl-haproxy",
    )


def haproxy_absent(where: str, mode: str) -> Problem:
    """HAProxy does not run, and its unit is to start it."""
    unit = "haproxy" if mode == "attach" else "proxyctl-haproxy"
    also = "      (it needs a master socket, -S: docs/modes.md)" if mode == "attach" else ""
    return Problem(
        id="PX303",
        subject="HAProxy",
        summary="does not run",
        where=where,
        effect="nothing is served; what it is to serve is written, and filled in when it comes",
        fix=f"systemctl start {unit}{also}",
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
    return Problem(
        id="PX401",
        subject=f'source "{name.rstrip(":")}"',
        summary="does not answer",
        where=error,
        effect=effect,
        fix="systemctl enable --now podman.socket      (it is tried again by itself)",
    )
