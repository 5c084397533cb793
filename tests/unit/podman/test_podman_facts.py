import json
from pathlib import Path

import pytest

from proxyctl.podman.assemble import assemble
from proxyctl.podman.facts import (
    ContainerFacts,
    ImageFacts,
    PodFacts,
    container_from_inspect,
    container_from_lists,
    image_from_inspect,
)
from proxyctl.podman.shapes import OddAnswer
from proxyctl.routes.workload import Health, Kind, Network, NetworkMode, Phase, PublishedPort

DATA = Path(__file__).parent / "data"


def one(**more):
    return ContainerFacts(**({"id": "c1", "name": "web", "state": "running"} | more))


def made(*containers, pods=(), images=()):
    return assemble(
        containers,
        {pod.id: pod for pod in pods},
        {image.id: image for image in images},
        source="",
        rootless=False,
    )


def test_null_and_missing_fields_of_old_podmans_mean_empty():
    entry = {"Id": "c1", "Names": ["web"], "Labels": None, "Ports": None, "State": "running"}
    facts = container_from_lists(entry, {"NetworkSettings": {"Networks": None}})

    assert (facts.labels, facts.published, facts.networks) == ((), (), ())
    assert facts.exposed is None
    assert facts.mode is None


def test_a_range_of_published_ports_is_each_of_its_ports():
    port = {"host_ip": "127.0.0.1", "container_port": 80, "host_port": 9000, "range": 3}
    facts = container_from_lists({"Id": "c1", "Ports": [port | {"protocol": "tcp"}]})

    assert [(p.container_port, p.host_port) for p in facts.published] == [
        (80, 9000),
        (81, 9001),
        (82, 9002),
    ]


def test_udp_ports_are_not_published():
    port = {"host_ip": "", "container_port": 53, "host_port": 53, "range": 1, "protocol": "udp"}

    assert container_from_lists({"Id": "c1", "Ports": [port]}).published == ()


@pytest.mark.parametrize("any_address", ["", "0.0.0.0", None])
def test_every_spelling_of_all_addresses_is_the_same_value(any_address):
    bindings = {"80/tcp": [{"HostIp": any_address, "HostPort": "8080"}], "81/tcp": None}
    facts = container_from_inspect({"Id": "c1", "NetworkSettings": {"Ports": bindings}})

    expected = (PublishedPort(container_port=80, host_ip="", host_port=8080),)
    assert facts.published == expected


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"Id": 7},
        {"Id": "c1", "Labels": ["a"]},
        {"Id": "c1", "Labels": {"a": 1}},
        {"Id": "c1", "Ports": [{"container_port": 70000, "host_port": 1}]},
        {"Id": "c1", "Names": "web"},
        {"Id": "c1", "State": {"Status": "running"}},
    ],
)
def test_an_impossible_entry_is_odd_and_nothing_worse(entry):
    with pytest.raises(OddAnswer):
        container_from_lists(entry)


@pytest.mark.parametrize(
    ("word", "mode"),
    [
        ("bridge", NetworkMode.BRIDGE),
        ("host", NetworkMode.HOST),
        ("none", NetworkMode.NONE),
        ("slirp4netns", NetworkMode.PRIVATE),
        ("pasta:--map-gw", NetworkMode.PRIVATE),
        ("ns:/run/netns/x", NetworkMode.PRIVATE),
    ],
)
def test_the_mode_of_the_network_is_read_from_the_inspect(word, mode):
    raw = {"Id": "c1", "HostConfig": {"NetworkMode": word}}

    assert container_from_inspect(raw).mode is mode


def test_pseudo_networks_of_podman_5_are_no_networks():
    raw = {"Id": "c1", "NetworkSettings": {"Networks": {"host": {"IPAddress": ""}}}}

    assert container_from_inspect(raw).networks == ()


def test_exposed_ports_are_tcp_ports_of_image_and_container():
    config = {"ExposedPorts": {"3000/tcp": {}, "22/tcp": {}, "53/udp": {}, "90-91/tcp": {}}}

    assert image_from_inspect({"Id": "i", "Config": config}).exposed == (22, 90, 91, 3000)


@pytest.mark.parametrize(
    ("name", "exposed", "published"),
    [("lone", (8000,), [90]), ("member", (3306, 3307), []), ("stopped", (8002,), [])],
)
def test_podman_4_3_tells_exposed_ports_without_a_binding_or_in_the_command(
    name, exposed, published
):
    facts = container_from_inspect(json.loads((DATA / "inspect-4.3.1.json").read_text())[name])

    assert facts.exposed == exposed
    assert [port.container_port for port in facts.published] == published


@pytest.mark.parametrize(
    ("command", "cmd", "exposed"),
    [
        ("run --expose 80 --expose=81,82/tcp --expose 53/udp nginx", None, (80, 81, 82)),
        ("run --name nginx --expose 80-82 docker.io/library/nginx:latest", None, (80, 81, 82)),
        ("run --expose 80 library/nginx serve --expose 90", "serve --expose 90", (80,)),
        ("run --expose 80 0123abcd serve", "serve", (80,)),
        ("run nginx --expose 90", "--expose 90", ()),
        ("run --expose 80 apache", None, ()),
        ("play kube x.yaml --expose 80", None, ()),
    ],
)
def test_the_command_that_made_a_container_is_believed_up_to_its_image(command, cmd, exposed):
    config = {"CreateCommand": ["podman", *command.split()], "Cmd": cmd and cmd.split()}
    image = {"Image": "0123abcdef", "ImageName": "docker.io/library/nginx:latest"}

    assert container_from_inspect({"Id": "c1", "Config": config} | image).exposed == exposed


def test_a_port_that_is_published_while_it_runs_is_no_exposed_one_when_it_does_not():
    bound = {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}
    raw = {"NetworkSettings": {"Ports": {"80/tcp": None}}, "HostConfig": {"PortBindings": bound}}

    assert container_from_inspect({"Id": "c1"} | raw).exposed == ()


def test_created_keeps_its_nanoseconds_in_any_zone():
    utc = container_from_lists({"Id": "c", "Created": "2026-11-23T23:37:22.391016476Z"})
    west = container_from_lists({"Id": "c", "Created": "2026-11-23T22:37:22.391016476-01:00"})

    assert utc.created == west.created == 1795477042391016476


def test_labels_of_the_image_are_kept_apart_from_a_containers_own():
    image = ImageFacts(id="i", labels=(("a", "1"), ("proxyctl.host", "evil")))
    labels = (("a", "2"), ("proxyctl.host", "evil"), ("proxyctl.port", "80"))
    (workload,) = made(one(image_id="i", labels=labels), images=[image])

    assert workload.labels == (("a", "2"), ("proxyctl.port", "80"))
    assert workload.members[0].labels == ()
    assert workload.members[0].image_labels == (("proxyctl.host", "evil"),)


def test_a_marked_container_of_an_unknown_image_has_no_labels_of_its_own():
    (workload,) = made(one(image_id="gone", labels=(("proxyctl.host", "x"),)))

    assert workload.labels == ()


def test_a_pod_has_its_own_labels_and_the_address_of_its_infra_container():
    pod = PodFacts(id="p", name="gitea", labels=(("proxyctl.host", "git"),), created=5)
    net = (Network(name="podman", ipv4="10.88.0.2"),)
    infra = one(
        id="c0", name="x-infra", pod="p", infra=True, networks=net, mode=NetworkMode.BRIDGE
    )
    members = one(id="c2", name="b", pod="p"), one(id="c1", name="a", pod="p")
    (workload,) = made(infra, *members, pods=[pod])

    assert (workload.kind, workload.id, workload.created) == (Kind.POD, "p", 5)
    assert [member.name for member in workload.members] == ["a", "b"]
    assert workload.networks == net


@pytest.mark.parametrize(
    ("infra", "members", "phase"),
    [
        ("running", ["running", "exited"], Phase.RUNNING),
        ("running", ["running", "stopping"], Phase.RUNNING),
        ("running", ["stopping", "exited"], Phase.STOPPING),
        ("exited", ["stopping", "exited"], Phase.STOPPING),
        ("stopping", ["exited"], Phase.STOPPING),
        ("exited", ["exited"], Phase.STOPPED),
        ("paused", ["paused"], Phase.STOPPED),
        ("created", ["created"], Phase.STOPPED),
    ],
)
def test_the_phase_of_a_pod_follows_from_its_containers(infra, members, phase):
    group = [one(id="c0", name="i", pod="p", infra=True, state=infra)]
    group += [one(id=f"m{n}", name=f"m{n}", pod="p", state=s) for n, s in enumerate(members)]
    (workload,) = made(*group, pods=[PodFacts(id="p", name="p")])

    assert workload.phase is phase


def test_without_infra_the_first_running_member_has_the_address():
    net = (Network(name="podman", ipv4="10.88.0.4"),)
    group = (
        one(id="a", name="a", pod="p", state="exited"),
        one(id="b", name="b", pod="p", networks=net),
    )
    (workload,) = made(*group, pods=[PodFacts(id="p", name="p")])

    assert workload.networks == net
    assert workload.phase is Phase.RUNNING


def test_service_containers_are_left_out_unless_they_carry_our_labels():
    entry = {"Id": "c1", "Names": ["0123456789ab-service"], "State": "running"}
    plain = container_from_lists(entry)
    marked = container_from_lists(entry | {"Id": "c2", "Labels": {"proxyctl.host": "x"}})

    assert [workload.id for workload in made(plain, marked)] == ["c2"]


def test_equal_input_in_any_order_gives_equal_workloads():
    a, b = one(id="a", name="a"), one(id="b", name="b", health=Health.HEALTHY)

    assert made(a, b) == made(b, a)
