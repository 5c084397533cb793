"""Folders of workloads.json (and config.toml) and what comes of it: haproxy.cfg, maps, problems.

Beside it may be a config.toml, a certificates.json (names and remaining days of each), and a quic
that says what HAProxy has of it (else nothing).

`UPDATE_GOLDEN=1 pytest tests/unit/test_golden.py` writes what comes of it now: read the diff.
"""

import json
import os

import pytest

from proxyctl.routes.workload import Kind, Member, Network, NetworkMode, Phase, PublishedPort
from proxyctl.state.certificates import Stock
from proxyctl.state.model import Quic
from proxyctl.state.pem import certificates
from tests.fakes.keyring import NOW, FakeKeyring, offer, pem
from tests.pipeline import GOLDEN, SETTINGS, decided, member, pod

CASES = sorted(path.name for path in GOLDEN.iterdir() if path.is_dir())


def workload(data):
    data = dict(data)
    members = tuple(
        member(m.pop("name"), **{**m, "exposed": tuple(m.pop("exposed", ()))})
        for m in map(dict, data.pop("members", []))
    )
    data["kind"] = Kind(data.get("kind", "pod"))
    data["phase"] = Phase(data.get("phase", "running"))
    data["network_mode"] = NetworkMode(data.get("network_mode", "bridge"))
    if "networks" in data:
        data["networks"] = tuple(Network(**n) for n in data["networks"])
    data["published"] = tuple(PublishedPort(**p) for p in data.get("published", ()))
    data["servers"] = tuple(data.get("servers", ()))
    assert all(isinstance(m, Member) for m in members)
    return pod(data.pop("name"), data.pop("ip", "10.88.0.2"), members=members, **data)


def quic_of(case):
    file = GOLDEN / case / "quic"
    return Quic(file.read_text().strip()) if file.exists() else Quic.NONE


def decision_of(case, quic=None):
    folder = GOLDEN / case
    found = json.loads((folder / "workloads.json").read_text())
    config, pairs = folder / "config.toml", folder / "certificates.json"
    given = json.loads(pairs.read_text()) if pairs.exists() else {}
    offers = tuple(offer(n, *g["names"], days=g.get("days", 90)) for n, g in given.items())
    staff = certificates("", pem("staff"))
    stock = Stock(time=NOW, offers=offers, authorities=(("staff", staff),))
    text = config.read_text() if config.exists() else SETTINGS
    quic = quic or quic_of(case)
    return decided(*map(workload, found), text=text, keyring=FakeKeyring(stock), quic=quic)


def outcome(case):
    decision = decision_of(case)
    shown = decision.rendered.shown_texts
    texts = {name.replace("/", "."): text for name, text in shown.items()}
    del texts["maps.sections.map"]  # digests of the rest
    problems = [problem.text() + "\n" for problem in decision.problems]
    return {**texts, "problems.txt": "\n".join(problems)}


@pytest.mark.parametrize("case", CASES)
def test_workloads_become_exactly_this_configuration(case):
    made = outcome(case)
    if os.environ.get("UPDATE_GOLDEN"):
        for name, text in made.items():
            (GOLDEN / case / name).write_text(text)

    for name, text in made.items():
        assert text == (GOLDEN / case / name).read_text(), f"{case}/{name}"
