"""Pebble (the ACME test server) with its DNS in the lab's network: every name is 127.0.0.1."""

import json
import shutil
import signal
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from podman_lab import Lab, LabProcess, eventually

from tests.fakes.authority import Authority

FOLDER = "/run/pebble"
ROOT = f"{FOLDER}/root.pem"
"""The root of what it issues, for clients in the lab."""
HTTPS_ROOT = f"{FOLDER}/https-root.pem"
"""The root of its own HTTPS: what `ca-file` names."""
DIRECTORY = "https://pebble.test:14000/dir"
_MANAGEMENT = "https://pebble.test:15000"
_DNS = "127.0.0.1:8053"


class LabPebble:
    """The CA, which asks HAProxy's port 80 for its challenges."""

    def __init__(self, lab: Lab) -> None:
        if not shutil.which("pebble-challtestsrv"):
            pytest.fail("pebble is missing: `make install` as root installs it (package pebble)")
        self._lab = lab
        authority = Authority()
        lab.write(HTTPS_ROOT, authority.root_pem.decode())
        lab.write(f"{FOLDER}/https.pem", authority.issue("pebble.test").decode())
        config = {
            "listenAddress": urlsplit(DIRECTORY).netloc.replace("pebble.test", "127.0.0.1"),
            "managementListenAddress": "127.0.0.1:15000",
            "certificate": f"{FOLDER}/https.pem",
            "privateKey": f"{FOLDER}/https.pem",
            "httpPort": 80,
            "tlsPort": 1,
        }
        lab.write(f"{FOLDER}/pebble.json", json.dumps({"pebble": config}))
        dns = ["pebble-challtestsrv", "-http01", "", "-https01", "", "-tlsalpn01", ""]
        dns += ["-dns01", _DNS, "-defaultIPv6", "", "-management", "127.0.0.1:8055"]
        lab.popen(dns)
        self._process = self._start()
        lab.write(ROOT, eventually(lambda: self._get("roots/0")))

    def _start(self) -> LabProcess:
        ca = ["pebble", "-config", f"{FOLDER}/pebble.json", "-dnsserver", _DNS]
        return self._lab.popen(ca, env={"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0"})

    def _get(self, path: str) -> str:
        ask = ["curl", "-sS", "--fail", "--cacert", HTTPS_ROOT, f"{_MANAGEMENT}/{path}"]
        return self._lab.run(ask, check=False).stdout

    def stop(self) -> None:
        """End the CA; its DNS goes on."""
        self._process.signal(signal.SIGKILL)
        self._process.wait()


def name_in_hosts(lab: Lab, *names: str, address: str = "127.0.0.1") -> None:
    """Let the lab's own resolver find names, as a public DNS would."""
    file = lab.outside("/etc/hosts")
    lines = "".join(f"{address} {name}\n" for name in names)
    file.write_text(_without(file, names) + lines)


def _without(file: Path, names: tuple[str, ...]) -> str:
    lines = file.read_text().splitlines(keepends=True)
    return "".join(line for line in lines if not set(line.split()[1:]) & set(names))
