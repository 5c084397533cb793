"""Proves to the CA that hosts are ours: by a file over HTTP, or a DNS record that a hook sets."""

import json
import os
import re
import secrets
import signal
import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import josepy
from acme import challenges, messages

from proxyctl.acme import reach, troubles
from proxyctl.acme.ca import Ca
from proxyctl.acme.schedule import Cost
from proxyctl.acme.shelf import Shelf, read, remove, write
from proxyctl.acme.troubles import Trouble
from proxyctl.settings import Acme

_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
"""The CA chooses it, and it becomes the name of a file."""
_SHOWN = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What one challenge asks for."""

    host: str
    """Without `*.`."""
    challenge: messages.ChallengeBody
    response: challenges.ChallengeResponse
    dns: bool
    key: str
    """The token; of dns-01 the name of the TXT record."""
    value: str
    """What the file, or the record, has to hold."""


def choose(
    name: str, authorization: messages.Authorization, account: josepy.JWK, settings: Acme
) -> Proof:
    """Return the proof for an authorization: of the challenges offered, the settings' one."""
    host = authorization.identifier.value
    dns = settings.challenge == "dns-01" or bool(authorization.wildcard)
    if dns and not settings.hook:
        raise Trouble(troubles.wildcard_needs_dns(name))
    kind = challenges.DNS01 if dns else challenges.HTTP01
    offered = [body for body in authorization.challenges or () if isinstance(body.chall, kind)]
    if not offered:
        problem = troubles.refused(name, f"the CA does not offer {kind.typ} for {host}")
        raise Trouble(problem, Cost.COUNTED, begin_anew=True)
    body = offered[0]
    token = body.chall.encode("token")
    if not _TOKEN.fullmatch(token):
        problem = troubles.refused(name, "the CA's token has characters that none may have")
        raise Trouble(problem, Cost.COUNTED, begin_anew=True)
    response = body.chall.response(account)
    if dns:
        record = f"{body.chall.validation_domain_name(host)}."  # as lego's "exec" has it
        value = body.chall.validation(account)
        return Proof(
            host=host, challenge=body, response=response, dns=True, key=record, value=value
        )
    value = response.key_authorization
    return Proof(host=host, challenge=body, response=response, dns=False, key=token, value=value)


class Prover:
    """Shows proofs, and takes them away again."""

    def __init__(self, settings: Acme, shelf: Shelf) -> None:
        self._settings = settings
        self._shelf = shelf

    def rehearse(self, name: str, hosts: Iterable[str]) -> None:
        """Look whether hosts lead here, before the CA hears of them. Raises Trouble."""
        if self._settings.challenge == "dns-01" or not self._settings.self_check:
            return
        for host in hosts:
            if host.startswith("*."):
                continue
            token = secrets.token_urlsafe(32)
            value = f"{token}.{secrets.token_urlsafe(32)}"
            write(self._shelf.challenges / token, value.encode(), 0o644)
            try:
                self._look(name, host, token, value)
            finally:
                remove(self._shelf.challenges / token)

    def show(self, name: str, proofs: Iterable[Proof]) -> None:
        """Let everybody see the proofs, and look whether they do. Raises Trouble."""
        proofs = tuple(proofs)
        records = [[proof.key, proof.value] for proof in proofs if proof.dns]
        if records:  # before the hook: what it was in the middle of is taken back after a crash
            write(self._shelf.presented, json.dumps(records).encode())
        for key, value in records:
            complaint = self._hook("present", key, value)
            if complaint:
                raise Trouble(troubles.hook_failed(name, complaint))
        if records:
            time.sleep(self._settings.hook_wait)
        files = [proof for proof in proofs if not proof.dns]
        for proof in files:
            write(self._shelf.challenges / proof.key, proof.value.encode(), 0o644)
        for proof in files:
            self._look(name, proof.host, proof.key, proof.value)

    def _look(self, name: str, host: str, token: str, value: str) -> None:
        seconds, address = self._settings.self_check, self._settings.check_address
        if not seconds:
            return
        flaw = reach.answers(host, token, value, seconds=seconds, address=address)
        if flaw:
            raise Trouble(troubles.points_elsewhere(name, host, flaw))

    def hide(self, proofs: Iterable[Proof]) -> str:
        """Take the proofs away; return what the hook complained about."""
        for proof in proofs:
            if not proof.dns:
                remove(self._shelf.challenges / proof.key)
        return self.clean()

    def clean(self) -> str:
        """Remove the DNS records that were set, by us or by a killed predecessor.

        Each is tried once: a record that stays does no harm.
        """
        complaints = []
        with suppress(ValueError, TypeError):
            for key, value in json.loads(read(self._shelf.presented) or b"[]"):
                if self._settings.hook:
                    complaints.append(self._hook("cleanup", str(key), str(value)))
        remove(self._shelf.presented)
        return "; ".join(filter(None, complaints))

    def _hook(self, verb: str, key: str, value: str) -> str:
        """Run the hook; return why it failed, "" if it did not."""
        command = [self._settings.hook, verb, key, value]
        shown = " ".join(command[:3])
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that what it started ends with it
            )
        except OSError as error:
            return f"{shown}: {error.strerror}"
        try:
            output, _ = process.communicate(timeout=self._settings.hook_timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return f"{shown}: not done after {self._settings.hook_timeout:g} s, killed"
        if process.returncode == 0:
            return ""
        said = output.decode("utf-8", "replace").strip()[-_SHOWN:]
        return f"{shown}: ended with {process.returncode}: {said}"


def answer(ca: Ca, proofs: Iterable[Proof]) -> None:
    """Tell the CA to look; what it was told before is not told again."""
    for proof in proofs:
        if proof.challenge.status == messages.STATUS_PENDING:
            ca.client.answer_challenge(proof.challenge, proof.response)
