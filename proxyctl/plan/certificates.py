"""What is to be done about certificates: compared with what HAProxy says that it has loaded.

A certificate is told by its fingerprint and by how many issuers come with it; what it is served
for, by its line in the crt-list. Both can be changed at run time, in this order: load, serve,
(the maps of the hosts,) forget.
"""

from dataclasses import dataclass

from proxyctl.plan.capabilities import capabilities_of
from proxyctl.plan.steps import PutCertificate, RemoveCertificate, ServeCertificate, Step
from proxyctl.state.certificates import DEFAULT
from proxyctl.state.model import (
    Certificate,
    Desired,
    Running,
    RunningCertificate,
    certificate_file,
)
from proxyctl.state.render import Rendered

_COMMAND = 1_000
"""Bytes of a command besides its payload: at most the path of a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateSteps:
    """What comes before the maps, what after them, and what only a reload can do."""

    new: tuple[Step, ...] = ()
    gone: tuple[Step, ...] = ()
    reasons: tuple[str, ...] = ()


def certificate_steps(desired: Desired, rendered: Rendered, running: Running) -> CertificateSteps:
    """Return the steps that make the loaded certificates those that are desired.

    None where the crt-list is not loaded: its frontend is new, which is a reason to reload.
    """
    there = running.certificates
    if there is None or not desired.certificates:
        return CertificateSteps()
    room = capabilities_of(running.version).payload_bytes - _COMMAND
    wanted = {one.name for one in desired.certificates}
    new: list[Step] = []
    reasons: list[str] = []
    for one in desired.certificates:
        loaded = there.get(one.name)
        if not _is_the_same(one, loaded):
            if len(rendered.texts[one.file]) > room:
                reasons.append(f"{one.file} is too big for a command")
                continue
            new.append(PutCertificate(one))
        if loaded is None or loaded.hosts != one.hosts:
            new.append(ServeCertificate(one.file, one.hosts))
    # HAProxy does not let go of the default one, and need not.
    gone = sorted(there.keys() - wanted - {DEFAULT})
    return CertificateSteps(
        new=tuple(new),
        gone=tuple(RemoveCertificate(certificate_file(name)) for name in gone),
        reasons=tuple(reasons),
    )


def _is_the_same(wanted: Certificate, loaded: RunningCertificate | None) -> bool:
    return loaded is not None and (wanted.fingerprint, wanted.chain) == (
        loaded.fingerprint,
        loaded.chain,
    )
