"""Certificates in the running process: what is loaded, and transactions that change it.

There is one transaction at a time in a HAProxy. On 2.6 `set ssl cert B` while one for A is open
puts B's contents into A's, and says so in an answer that looks like a success: an open one is
ended first, and only the answer that a new one was begun counts.
"""

from typing import assert_never

from proxyctl.haproxy import answers, protocol
from proxyctl.haproxy.files import Layout
from proxyctl.haproxy.protocol import CertificateStep
from proxyctl.haproxy.socket import Conversation
from proxyctl.plan.steps import PutCertificate, RemoveCertificate, ServeCertificate
from proxyctl.problems import CommandRejected
from proxyctl.state.model import CERTS, CRT_LIST, RunningCertificate, certificate_name


def loaded(talk: Conversation, layout: Layout) -> dict[str, RunningCertificate] | None:
    """Return the certificates of our folder that are loaded, by name; None without our list."""
    crt_list = _our_list(layout)
    if crt_list not in talk.tell("show ssl crt-list").splitlines():
        return None
    lines: dict[str, list[tuple[str, ...]]] = {}
    for file, _, hosts in answers.parse_crt_list(talk.ask(protocol.show_crt_list(crt_list))):
        lines.setdefault(file, []).append(hosts)
    found = {}
    names, _ = answers.parse_certificate_names(talk.ask("show ssl cert"))
    for path in names:
        file = layout.file_of(path)
        if not file.startswith(f"{CERTS}/"):
            continue
        fingerprint, chain = answers.parse_certificate(talk.ask(protocol.show_certificate(path)))
        served = lines.get(path, [])
        found[certificate_name(file)] = RunningCertificate(
            fingerprint=fingerprint, chain=chain, hosts=served[0] if len(served) == 1 else None
        )
    return found


def do(talk: Conversation, step: CertificateStep, layout: Layout, pem: str) -> None:
    """Carry a step out; `pem` is the contents of a certificate that is put. CommandRejected."""
    match step:
        case PutCertificate(certificate):
            _put(talk, _path(layout, certificate.file), pem, layout)
        case ServeCertificate(file, hosts):
            _serve(talk, _path(layout, file), hosts, layout)
        case RemoveCertificate(file):
            _remove(talk, _path(layout, file), layout)
        case _:
            assert_never(step)


def _put(talk: Conversation, path: str, pem: str, layout: Layout) -> None:
    names, open_one = answers.parse_certificate_names(talk.ask("show ssl cert"))
    if open_one:
        if not layout.file_of(open_one):
            raise CommandRejected(
                f"somebody changes {open_one} at run time: abort ssl cert {open_one}"
            )
        talk.ask(protocol.abort_certificate(open_one))  # left by one of us that was killed
    setting, commit = protocol.put_certificate(path, pem)
    if path not in names:
        talk.ask(protocol.new_certificate(path))
    try:
        talk.ask(setting)
        talk.ask(commit)
    except CommandRejected:
        talk.tell(protocol.abort_certificate(path))
        if path not in names:
            talk.tell(protocol.delete_certificate(path))
        raise


def _serve(talk: Conversation, path: str, hosts: tuple[str, ...], layout: Layout) -> None:
    """Add the line that is wanted before the others go: at no time is a name without any."""
    before = _lines_of(talk, path, layout)
    talk.ask(protocol.list_certificate(_our_list(layout), path, hosts))
    for number in before:
        talk.ask(protocol.unlist_certificate(_our_list(layout), path, number))


def _remove(talk: Conversation, path: str, layout: Layout) -> None:
    for number in _lines_of(talk, path, layout):
        talk.ask(protocol.unlist_certificate(_our_list(layout), path, number))
    names, _ = answers.parse_certificate_names(talk.ask("show ssl cert"))
    if path in names:
        talk.ask(protocol.delete_certificate(path))


def _lines_of(talk: Conversation, path: str, layout: Layout) -> tuple[str, ...]:
    lines = answers.parse_crt_list(talk.ask(protocol.show_crt_list(_our_list(layout))))
    return tuple(number for file, number, _ in lines if file == path)


def _our_list(layout: Layout) -> str:
    return _path(layout, CRT_LIST)


def _path(layout: Layout, file: str) -> str:
    return f"{layout.folder}/{file}"
