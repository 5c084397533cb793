from dataclasses import replace

import pytest

from proxyctl.routes.workload import Kind
from proxyctl.status.explain import explanation
from tests.pipeline import member, pod
from tests.unit.status import sample


def only(target, view=None):
    document = explanation(view or sample.view(), target)
    (part,) = document["workloads"]
    return document, part


def routed(target, view=None):
    document = explanation(view or sample.view(), target)
    return document, next((part for part in document["lookups"] if part["routed"]), None)


@pytest.mark.parametrize("target", ["gitea", "pod/gitea", "gitea-server", "3f2a91c0d4"])
def test_a_workload_is_found_by_its_name_its_containers_name_or_its_id(target):
    document, part = only(target)

    assert document["verdict"] == "PUBLISHED"
    assert part["subject"] == 'pod "gitea"'


def test_a_published_pod_is_told_from_its_label_to_a_command_line():
    _, part = only("gitea")
    (route,) = part["routes"]

    assert route["urls"] == ["http://git.example.com:8080/"]
    assert (route["port"], route["port_from"]) == (3000, "label proxyctl.port")
    assert route["address"] == ["10.88.0.2:3000"]
    assert route["address_from"] == "network podman (bridge, reachable from the host)"
    assert [server["status"] for server in route["servers"]] == ["UP"]
    assert route["try_it"] == (
        "curl -sv --resolve git.example.com:8080:127.0.0.1 http://git.example.com:8080/"
    )
    assert [change["id"] for change in part["changes"]] == [1, 2]


def test_the_lines_are_those_of_its_backend():
    view = sample.view()
    _, part = only("gitea", view)

    first, last = map(int, part["routes"][0]["lines"].rpartition(":")[2].split("-"))
    lines = view.rendered.texts["haproxy.cfg"].splitlines()[first - 1 : last]
    assert lines[0].startswith("backend gitea ")
    assert lines[-1].startswith("    server ::hold")


def test_a_misspelt_label_is_why_a_pod_is_not_published():
    document, part = only("typo")

    assert (document["verdict"], document["routed"]) == ("NOT PUBLISHED", False)
    assert [problem["id"] for problem in part["problems"]] == ["PX101"]


def test_who_lost_a_host_is_told_who_has_it():
    document, part = only("late")

    assert document["routed"] is False
    assert part["routes"][0]["backend"] == ""
    assert 'pod "gitea" keeps it' in part["problems"][0]["effect"]


def test_a_stopped_pod_is_published_and_nobody_serves_it():
    document, part = only("wiki")

    assert document["routed"] is True
    assert part["served"] is False
    assert part["reasons"] == ["the pod does not run: its route is held, requests get 503"]


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ({}, "it has no label of proxyctl: add proxyctl.host=NAME"),
        ({"enable": "no", "host": "a.test"}, "proxyctl.enable=no switches it off"),
    ],
)
def test_a_pod_that_does_not_ask_is_told_how_to(labels, reason):
    _, part = only("a", sample.view(pod("a", labels=labels)))

    assert part["reasons"] == [reason]


def test_an_image_that_would_publish_itself_is_named_as_ignored():
    image = (("proxyctl.host", "bank.example.com"), ("proxyctl.port", "80"))
    lone = pod("a", kind=Kind.CONTAINER, members=(member("a", image="x", image_labels=image),))

    document, part = only("a", sample.view(lone))

    assert document["routed"] is False
    assert part["reasons"] == [
        "only its image has proxyctl.host, and an image must not publish itself"
    ]
    assert [label["note"] for label in part["labels"]] == [
        "ignored: an image must not publish itself",
        "a hint",
    ]


@pytest.mark.parametrize(
    ("workload", "told"),
    [
        (pod("a", host="a.test", members=(member("m", image="img", exposed=(80,)),)),
         "the only TCP port that is exposed (img)"),
        (pod("a", host="a.test", kind=Kind.CONTAINER, members=(
            member("a", image_labels=(("proxyctl.port", "80"),)),)),
         "label proxyctl.port of a container or its image (hint)"),
        (pod("a", labels={"port": "80", "route.x.host": "a.test"}), "label proxyctl.port"),
        (pod("a", labels={"route.x.port": "80", "route.x.host": "a.test"}),
         "label proxyctl.route.x.port"),
    ],
)  # fmt: skip
def test_it_is_told_where_the_port_comes_from(workload, told):
    _, part = only("a", sample.view(workload))

    assert part["routes"][0]["port_from"] == told


def test_a_published_port_of_a_rootless_container_is_its_address():
    _, part = only("hello")

    assert part["routes"][0]["address"] == ["127.0.0.1:8088"]
    assert part["routes"][0]["address_from"] == "port 80, which Podman publishes on the host"


def test_labels_that_stay_in_force_are_told_beside_the_ones_with_a_mistake():
    view = sample.view(pod("a", host="a.test", port="80"))
    edited = pod("a", hots="a.test", port="80")

    _, part = only("a", replace(view, workloads=(edited,)))

    assert [(label["label"], label["from"]) for label in part["labels"]] == [
        ("proxyctl.hots", "pod"),
        ("proxyctl.port", "pod"),
        ("proxyctl.host", "before"),
        ("proxyctl.port", "before"),
    ]


def test_a_group_is_explained_by_all_its_members():
    document = explanation(sample.view(), "shop")

    assert [part["name"] for part in document["workloads"]] == ["shop-a", "shop-b"]


def test_two_things_of_one_name_are_both_explained_and_told_apart_by_their_kind():
    view = sample.view(
        pod("a", host="a.test", port="80"),
        pod("a", kind=Kind.CONTAINER, id="c", host="c.test", port="80"),
    )

    assert len(explanation(view, "a")["workloads"]) == 2
    assert [w["kind"] for w in explanation(view, "container/a")["workloads"]] == ["container"]


@pytest.mark.parametrize(
    ("target", "backend"),
    [
        ("git.example.com", "gitea"),
        ("GIT.example.com.:8080/api/x", "api"),
        ("http://git.example.com:8080//api?x=1", "api"),
        ("other.example.com", "wild"),
        ("wiki.example.com/x", "wiki"),
        ("localhost:5432", "db"),
    ],
)
def test_a_request_is_followed_to_its_backend(target, backend):
    document, part = routed(target)

    assert document["verdict"] == "PUBLISHED"
    assert part["backend"] == backend


def test_a_user_in_a_url_is_no_part_of_the_host():
    assert routed("http://ann:pw@git.example.com:8080/")[1]["backend"] == "gitea"


def test_a_kind_with_a_name_that_nothing_has_is_not_taken_for_a_host():
    document = explanation(sample.view(), "pod/giteaa")

    assert document["reason"] == "no pod is called 'giteaa'; did you mean gitea?"
    assert document["lookups"] == []


def test_a_long_target_is_not_repeated_at_length():
    assert len(explanation(sample.view(), "x" * 8000)["reason"]) < 200


def test_a_request_to_a_port_where_nobody_listens_has_no_route():
    document, _ = routed("https://git.example.com/")

    assert document["verdict"] == "NO ROUTE"
    assert document["reason"].startswith("no entrypoint listens on port 443")


@pytest.mark.parametrize("scheme", ["https", "ftp"])
def test_a_url_that_its_entrypoint_does_not_speak_has_no_route(scheme):
    document, _ = routed(f"{scheme}://git.example.com:8080/")

    assert document["verdict"] == "NO ROUTE"
    assert document["reason"] == f"entrypoint web on port 8080 speaks http, and not {scheme}"


def test_a_host_that_nobody_asks_for_gets_404():
    document, part = routed("nobody.test")

    assert part is None
    assert document["reason"] == "HAProxy answers 404; no workload asks for this"


def test_a_host_that_a_refused_pod_asks_for_names_the_pod():
    view = sample.view(pod("typo", hots="typo.test", port="80"))

    document, _ = routed("typo.test", view)

    assert 'asked for by pod "typo" in vain' in document["reason"]


def test_what_haproxy_has_loaded_counts_more_than_what_it_should_have():
    view = sample.view()
    maps = {**view.running.maps, "maps/web.http.map": (("git.example.com/", "old"),)}
    stale = replace(view, running=replace(view.running, maps=maps))

    _, part = routed("git.example.com", stale)

    assert (part["backend"], part["told_by"], part["servers"]) == ("old", "haproxy", [])


def test_the_keys_are_those_that_haproxy_should_have_while_it_does_not_run():
    document = explanation(sample.dead(), "git.example.com")
    part = next(part for part in document["lookups"] if part["backend"])

    assert (part["backend"], part["told_by"]) == ("gitea", "plan")
    assert document["verdict"] == "NO HAPROXY"
    assert "proxyctl run starts it" in document["reason"]


def test_a_name_that_nothing_has_is_answered_with_the_nearest_one():
    document = explanation(sample.view(), "giteaa")

    assert document["routed"] is False
    assert document["reason"].endswith("did you mean gitea?")


@pytest.mark.parametrize(
    "target", ["", "/", ":", "http://", "http:///x", "pod/", "\x00", "a" * 9000]
)
def test_odd_targets_are_answered_too(target):
    assert explanation(sample.view(), target)["verdict"] == "NO ROUTE"
