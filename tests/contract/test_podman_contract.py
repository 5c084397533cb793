"""The fake Podman and the real one make the same workloads: what the unit tests stand on."""

import dataclasses
import subprocess
import time
from pathlib import Path

import pytest

from proxyctl.podman.client import PodmanApi
from proxyctl.podman.source import PodmanSource
from proxyctl.routes.workload import Phase
from tests.fakes.podman_api import FakePodman

pytestmark = pytest.mark.e2e

LAB = Path(__file__).parent.parent / "lab" / "lab.sh"
HOST = {"proxyctl.host": "a.example.com"}
LABEL = "--label=proxyctl.host=a.example.com"
SLEEP = ("localhost/plain", "/bin/busybox", "sleep", "1000")
STUBBORN = (
    "localhost/plain",
    "/bin/busybox",
    "sh",
    "-c",
    "trap '' TERM; while :; do sleep 1; done",
)
KUBE = """
apiVersion: v1
kind: Pod
metadata: {name: kube, labels: {proxyctl.host: a.example.com}}
spec:
  containers: [{name: app, image: localhost/plain, command: [/bin/busybox, sleep, "1000"]}]
"""


class Lab:
    """A real Podman in namespaces of its own; see tests/lab/lab.sh."""

    def __init__(self, pid: str) -> None:
        self.pid = pid
        self.url = f"unix:///proc/{pid}/root/run/podman/podman.sock"
        self.source = PodmanSource("", lambda: PodmanApi(self.url))

    def sh(self, script: str, *args: str, stdin: str | None = None) -> str:
        command = [str(LAB), "exec", self.pid, "sh", "-euc", script, "sh", *args]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def podman(self, *args: str, stdin: str | None = None) -> str:
        return self.sh('podman "$@"', *args, stdin=stdin)

    def start(self, name: str, *options: str, members: tuple[str, ...] = ("app",)) -> None:
        self.podman("pod", "create", "--name", name, *options)
        for member in members:
            self.podman("run", "-d", "--pod", name, "--name", f"{name}-{member}", *SLEEP)


@pytest.fixture(scope="module")
def lab():
    with subprocess.Popen(
        [str(LAB), "keep"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as keeper:
        word, pid = keeper.stdout.readline().split()
        assert word == "ready"
        made = Lab(pid)
        try:
            made.sh(
                "d=$(mktemp -d); mkdir $d/bin; cp $(command -v busybox) $d/bin/busybox;"
                " ln -s busybox $d/bin/sh; ln -s busybox $d/bin/sleep;"
                " tar -C $d -c . | podman import -q - localhost/plain;"
                " tar -C $d -c . | podman import -q --change 'LABEL proxyctl.port=80'"
                "   --change 'LABEL brought=1' --change 'EXPOSE 80' - localhost/labelled"
            )
            yield made
        finally:
            keeper.stdin.close()


@pytest.fixture
def fake(tmp_path):
    with FakePodman(tmp_path / "podman.sock", version="4.3") as made:
        made.add_image("localhost/plain:latest")
        made.add_image(
            "localhost/labelled:latest", {"proxyctl.port": "80", "brought": "1"}, exposed=[80]
        )
        yield made


def shape(source, name):
    """Return a workload without what differs between any two hosts; None if it is not there."""
    found = {workload.name: workload for workload in source.read(None)}.get(name)
    if found is None:
        return None
    members = [
        dataclasses.replace(one, id="", image=one.image.removesuffix(":latest"))
        for one in found.members
    ]
    networks = [
        dataclasses.replace(net, ipv4="set" if net.ipv4 else "", ipv6="") for net in found.networks
    ]
    return dataclasses.replace(
        found, id="", created=0, members=tuple(members), networks=tuple(networks)
    )


def agree(lab, fake, name):
    real = shape(lab.source, name)
    assert real == shape(PodmanSource("", lambda: PodmanApi(fake.url)), name)
    return real


def plain(*names):
    return [{"name": name, "image": "localhost/plain:latest"} for name in names]


def test_a_bridge_pod_with_two_members(lab, fake):
    lab.start("two", LABEL, members=("web", "db"))
    fake.add_pod("two", HOST, "10.88.0.2", containers=plain("web", "db"))

    assert agree(lab, fake, "two").networks


def test_a_pod_on_several_networks(lab, fake):
    lab.podman("network", "create", "--subnet", "10.66.0.0/24", "other")
    lab.start("several", LABEL, "--network", "podman,other")
    networks = {"podman": "10.88.0.3", "other": "10.66.0.2"}
    fake.add_pod("several", HOST, networks=networks, mode="bridge", containers=plain("app"))

    assert [net.name for net in agree(lab, fake, "several").networks] == ["other", "podman"]


@pytest.mark.parametrize("mode", ["host", "none"])
def test_a_pod_without_a_network_of_its_own(lab, fake, mode):
    lab.start(f"net-{mode}", LABEL, "--network", mode)
    fake.add_pod(f"net-{mode}", HOST, mode=mode, containers=plain("app"))

    assert agree(lab, fake, f"net-{mode}").network_mode == mode


def test_a_lone_container_with_published_ports(lab, fake):
    ports = [(80 + n, "127.0.0.1", 9000 + n) for n in range(3)]
    lab.podman("run", "-d", "--name", "lone", LABEL, "-p", "127.0.0.1:9000-9002:80-82", *SLEEP)
    image = "localhost/plain:latest"
    fake.add_container("lone", HOST, "10.88.0.4", published=ports, image=image)

    assert len(agree(lab, fake, "lone").published) == 3


def test_exposed_ports(lab, fake):
    lab.podman("run", "-d", "--name", "exposing", LABEL, "--expose", "80", *SLEEP)
    lab.podman("pod", "create", "--name", "pod", LABEL)
    lab.podman("run", "-d", "--pod", "pod", "--name", "pod-app", "--expose", "81", *SLEEP)
    fake.add_container("exposing", HOST, "10.88.0.4", exposed=[80], image="localhost/plain:latest")
    fake.add_pod("pod", HOST, "10.88.0.5", containers=[plain("app")[0] | {"exposed": [81]}])

    assert agree(lab, fake, "exposing").members[0].exposed == (80,)
    assert agree(lab, fake, "pod").members[0].exposed == (81,)


def test_a_published_pod(lab, fake):
    lab.start("published", LABEL, "-p", "8081:8080")
    fake.add_pod(
        "published", HOST, "10.88.0.5", published=[(8080, "", 8081)], containers=plain("app")
    )

    assert agree(lab, fake, "published").published


def test_a_pod_of_play_kube(lab, fake):
    lab.podman("play", "kube", "-", stdin=KUBE)
    networks = {"podman-default-kube-network": "10.89.0.2"}
    fake.add_pod(
        "kube",
        HOST,
        networks=networks,
        mode="bridge",
        kube=True,
        containers=[plain("app")[0] | {"labels": HOST}],
    )

    assert agree(lab, fake, "kube").labels == tuple(HOST.items())


def test_an_image_with_labels(lab, fake):
    lab.podman(
        "run", "-d", "--name", "branded", LABEL, "localhost/labelled", "/bin/busybox", "sleep", "9"
    )
    fake.add_container("branded", HOST, "10.88.0.6", image="localhost/labelled:latest")
    real = agree(lab, fake, "branded")

    assert real.labels == tuple(HOST.items())
    assert real.members[0].image_labels == (("brought", "1"), ("proxyctl.port", "80"))


def test_a_pod_without_infra_container(lab):
    lab.start("bare", LABEL, "--infra=false")

    assert shape(lab.source, "bare").networks[0].ipv4 == "set"


def test_a_pod_is_seen_stopping_then_stopped_then_with_another_address_then_gone(lab, fake):
    lab.podman("pod", "create", "--name", "life", LABEL)
    lab.podman("run", "-d", "--pod", "life", "--name", "life-app", *STUBBORN)
    fake.add_pod("life", HOST, "10.88.0.7", containers=plain("app"))
    agree(lab, fake, "life")
    before = next(one for one in lab.source.read(None) if one.name == "life")

    with subprocess.Popen([str(LAB), "exec", lab.pid, "podman", "pod", "stop", "-t", "4", "life"]):
        wait_for(lab, before.id, Phase.STOPPING)
    fake.stop_pod("life")
    assert agree(lab, fake, "life").phase is Phase.STOPPED

    lab.podman("pod", "start", "life")
    fake.restart_pod("life", "10.88.0.8")
    agree(lab, fake, "life")
    after = next(one for one in lab.source.read(None) if one.name == "life")
    assert after.networks != before.networks

    lab.podman("pod", "rm", "-f", "-t", "0", "life")
    fake.remove("life")
    assert agree(lab, fake, "life") is None


def wait_for(lab, identity, phase):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = {one.id: one.phase for one in lab.source.read(frozenset({identity}))}
        if found[identity] is phase:
            return
    raise AssertionError(found[identity])
