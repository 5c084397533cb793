import time

import pytest

from proxyctl.podman.client import PodmanApi
from proxyctl.podman.source import PodmanSource
from proxyctl.problems import SourceUnavailable
from proxyctl.reading import Reading
from proxyctl.routes.workload import NetworkMode, Phase
from tests.fakes.podman_api import FakePodman

HOST = {"proxyctl.host": "git.example.com"}
PORT = HOST | {"proxyctl.port": "80"}


@pytest.fixture(params=["4.3", "5.8"])
def podman(request, tmp_path):
    with FakePodman(tmp_path / "podman.sock", version=request.param) as fake:
        yield fake


@pytest.fixture
def source(podman):
    return PodmanSource("", lambda: PodmanApi(podman.url, patience=2))


def by_name(workloads):
    return {workload.name: workload for workload in workloads}


def test_a_cold_read_inspects_each_image_and_kube_pod_once_and_a_warm_one_takes_two_lists(
    podman, source
):
    podman.add_pod("gitea", PORT, "10.88.0.2", containers=("web", "db"))
    podman.add_pod("wiki", PORT, "10.88.0.3")
    podman.add_pod("kube", PORT, "10.88.0.4", kube=True)
    podman.add_pod("unmarked", {}, "10.88.0.5")
    source.read(None)

    assert podman.asked() == [
        "info",
        "libpod list",
        "compat list",
        "image localhost/web:1",
        "pod kube",
    ]

    source.read(None)

    assert podman.asked() == ["libpod list", "compat list"]


def test_what_is_exposed_is_known_from_the_first_read_on(podman, source):
    members = {"name": "web", "exposed": [3000]}, {"name": "db", "exposed": [3306]}
    podman.add_pod("gitea", HOST, "10.88.0.2", containers=members)
    podman.add_container("lone", HOST, "10.88.0.3", exposed=[8000])
    cold = by_name(source.read(None))
    podman.asked()

    assert [member.exposed for member in cold["gitea"].members] == [(3306,), (3000,)]
    assert cold["lone"].members[0].exposed == (8000,)
    assert by_name(source.read(None)) == cold
    assert podman.asked() == ["libpod list", "compat list"]


def test_labels_of_a_members_own_make_its_ports_worth_asking_for(podman, source):
    own = {"proxyctl.route.admin.host": "admin.example.com"}
    podman.add_pod(
        "gitea", PORT, "10.88.0.2", containers=[{"name": "web", "labels": own, "exposed": [9000]}]
    )
    (workload,) = source.read(None)

    assert workload.members[0].exposed == (9000,)


def test_one_changed_container_costs_one_inspect(podman, source):
    podman.add_pod("gitea", HOST, "10.88.0.2")
    source.read(None)
    podman.asked()
    infra = podman.members("gitea")[0]
    infra["networks"] = {"podman": "10.88.0.9"}
    infra["started"] += 1
    workloads = source.read(frozenset({infra["id"]}))

    assert podman.asked() == [f"container {infra['name']}"]
    assert by_name(workloads)["gitea"].networks[0].ipv4 == "10.88.0.9"


def test_nothing_changed_costs_nothing(podman, source):
    podman.add_pod("gitea", HOST, "10.88.0.2")
    first = source.read(None)
    podman.asked()

    assert source.read(frozenset()) == first
    assert podman.asked() == []


def test_what_is_as_it_was_is_the_same_object_after_a_full_read(podman, source):
    podman.add_pod("gitea", PORT, "10.88.0.2", containers=("web", "db"))
    podman.add_pod("unmarked", {}, "10.88.0.5")
    podman.add_container("lone", HOST, "10.88.0.3", exposed=[8000])
    podman.add_pod("started", PORT, "10.88.0.4")
    before = by_name(source.read(None))
    podman.members("started")[0]["started"] += 1
    after = by_name(source.read(None))

    same = {name for name, workload in after.items() if workload is before[name]}
    assert same == {"gitea", "unmarked", "lone"}


def test_a_pod_that_begins_to_stop_is_seen_with_one_request_while_its_inspect_blocks(
    podman, source
):
    podman.add_pod("gitea", HOST, "10.88.0.2")
    source.read(None)
    podman.asked()
    podman.stop_pod("gitea", slow=True)
    workloads = source.read(frozenset({podman.find("gitea")["id"]}))

    assert podman.asked() == ["pod list"]
    assert by_name(workloads)["gitea"].phase is Phase.STOPPING


def test_a_removed_pod_is_gone(podman, source):
    podman.add_pod("gitea", HOST, "10.88.0.2")
    source.read(None)
    ids = {one["id"] for one in podman.members("gitea")} | {podman.find("gitea")["id"]}
    podman.remove("gitea")

    assert source.read(frozenset(ids)) == ()


def test_a_new_pod_costs_one_inspect_of_it_and_one_of_its_container(podman, source):
    source.read(None)
    podman.asked()
    podman.add_pod("gitea", HOST, "10.88.0.2", containers=())
    infra = podman.members("gitea")[0]
    workloads = source.read(frozenset({infra["id"]}))

    assert podman.asked() == [f"container {infra['name']}", "pod gitea"]
    assert by_name(workloads)["gitea"].labels == tuple(HOST.items())


def test_reading_changes_one_by_one_ends_where_a_full_read_ends(podman, source):
    podman.add_pod("gitea", HOST, "10.88.0.2", published=[(80, "", 8080)])
    podman.add_container("lone", HOST, "10.88.0.4", health="healthy", exposed=[80])
    podman.add_pod("host", HOST, mode="host")
    source.read(None)
    podman.stop_pod("gitea")
    podman.restart_pod("gitea", "10.88.0.7")
    podman.find("lone")["health"] = "unhealthy"
    for identity in [*podman.containers, *podman.pods]:
        partial = source.read(frozenset({identity}))

    assert partial == source.read(None)
    assert partial == PodmanSource("", lambda: PodmanApi(podman.url)).read(None)


def test_the_kind_of_network_that_lists_do_not_tell_is_asked_for_once(podman, source):
    podman.add_pod("far", HOST, mode="host")
    podman.add_container("alone", HOST, mode="none")
    workloads = by_name(source.read(None))
    podman.asked()

    assert workloads["far"].network_mode is NetworkMode.HOST
    assert workloads["alone"].network_mode is NetworkMode.NONE
    source.read(None)
    assert podman.asked() == ["libpod list", "compat list"]


def test_labels_of_a_kube_pod_are_read_from_the_pod(podman, source):
    podman.add_pod("kube", HOST, "10.89.0.2", kube=True)

    assert by_name(source.read(None))["kube"].labels == tuple(HOST.items())


def test_a_pod_first_met_while_it_stops_is_known_by_its_infra_container(podman, source):
    podman.add_pod("gitea", HOST, "10.88.0.2")
    podman.stop_pod("gitea", slow=True)
    workloads = source.read(None)

    assert "pod gitea" not in podman.asked()
    assert by_name(workloads)["gitea"].labels == tuple(HOST.items())
    assert by_name(workloads)["gitea"].phase is Phase.STOPPING


def test_an_image_cannot_publish_itself(podman, source):
    podman.add_image("evil", {"proxyctl.host": "bank.example.com"}, exposed=[80])
    podman.add_container("c", ip="10.88.0.5", image="evil")
    (workload,) = source.read(None)

    assert workload.labels == ()
    assert workload.members[0].image_labels == (("proxyctl.host", "bank.example.com"),)
    assert workload.members[0].exposed == (80,)


def test_an_impossible_container_costs_only_itself_and_is_told(podman, source):
    podman.add_pod("gitea", HOST, "10.88.0.2")
    podman.add_container("odd", HOST, "10.88.0.3", state=7)
    workloads = source.read(None)

    assert list(by_name(workloads)) == ["gitea"]
    assert [problem.subject for problem in source.problems] == ['container "odd"']


@pytest.mark.parametrize("failure", [500, "cut", "garbage", "null"])
def test_a_bad_answer_is_unavailable_not_empty_and_the_next_read_is_full(podman, source, failure):
    podman.add_pod("gitea", HOST, "10.88.0.2")
    before = source.read(None)
    podman.fail["libpod/containers/json"] = failure
    with pytest.raises(SourceUnavailable):
        source.read(None)
    podman.fail.clear()
    podman.asked()

    assert source.read(frozenset()) == before
    assert podman.asked() == ["info", "libpod list", "compat list"]


def test_one_object_that_podman_cannot_describe_stays_as_it_was(podman, source):
    podman.add_container("a", HOST, "10.88.0.2")
    before = source.read(None)
    podman.fail["/containers/" + podman.find("a")["id"]] = 500

    assert source.read(frozenset({podman.find("a")["id"]})) == before
    assert len(source.problems) == 1


def test_what_is_removed_while_it_is_asked_for_is_gone_and_no_problem(podman, source):
    podman.add_pod("gitea", HOST, "10.88.0.2")
    podman.add_container("a", HOST, "10.88.0.3")
    source.read(None)
    podman.fail["/containers/" + podman.find("a")["id"]] = "gone"

    workloads = source.read(frozenset({podman.find("a")["id"]}))

    assert list(by_name(workloads)) == ["gitea"]
    assert source.problems == ()


def test_a_missing_socket_says_how_to_make_one(tmp_path):
    source = PodmanSource("", lambda: PodmanApi(str(tmp_path / "none.sock")))

    with pytest.raises(SourceUnavailable, match=r"systemctl enable --now podman\.socket"):
        source.read(None)


def test_a_dead_socket_says_so(podman, source):
    podman.stop(leave_socket=True)

    with pytest.raises(SourceUnavailable, match="nobody listens"):
        source.read(None)


def test_a_silent_podman_is_given_up(podman):
    podman.fail["info"] = "hang"
    source = PodmanSource("", lambda: PodmanApi(podman.url, patience=0.2))

    with pytest.raises(SourceUnavailable, match="does not answer"):
        source.read(None)


def test_a_home_with_a_broken_containers_conf_does_not_matter(
    podman, source, tmp_path, monkeypatch
):
    (tmp_path / "containers").mkdir()
    (tmp_path / "containers" / "containers.conf").write_text("[engine\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    assert source.read(None) == ()


def test_a_pod_whose_inspect_never_answers_costs_only_itself(podman):
    podman.add_pod("stuck", HOST, "10.88.0.2", kube=True)
    podman.add_pod("gitea", HOST, "10.88.0.3")
    podman.fail["/pods/" + podman.find("stuck")["id"]] = "hang"
    source = PodmanSource("", lambda: PodmanApi(podman.url, patience=0.3))

    assert list(by_name(source.read(None))) == ["gitea"]
    podman.fail.clear()
    assert list(by_name(source.read(None))) == ["gitea", "stuck"]


def test_what_nobody_can_tell_from_an_images_labels_stays_as_it_was(podman, source):
    """A Podman that cannot read images (a full disk) must not look as if nobody had labels."""
    podman.add_container("git", PORT, "10.88.0.2")
    podman.add_pod("wiki", PORT, "10.88.0.3")
    before = by_name(source.read(None))
    podman.add_container("late", PORT, "10.88.0.4")
    podman.fail["images/"] = 500
    again = PodmanSource("", lambda: PodmanApi(podman.url, patience=2))
    reading = Reading([again], [("podman:", tuple(before.values()))])

    reading.ask(frozenset())

    found = by_name(reading.workloads)
    assert found["git"].labels == before["git"].labels
    assert found["wiki"] == before["wiki"]
    assert found["late"].labels == ()
    assert {problem.id for problem in reading.problems} == {"PX405"}
    podman.fail.clear()
    reading.ask(frozenset())
    assert dict(by_name(reading.workloads)["late"].labels) == PORT
    assert reading.problems == ()
    assert again.unsure == frozenset()


def prepared(source):
    """Have the lists fetched beside the work, as before each look at everything."""
    deadline = time.monotonic() + 5
    while not source.prepared():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_lists_that_were_fetched_beside_the_work_are_not_asked_for_again(podman, source):
    podman.add_container("a", PORT, "10.88.0.2")
    before = source.read(None)
    podman.asked()
    prepared(source)
    assert sorted(podman.asked()) == ["compat list", "libpod list"]

    assert source.read(None) == before
    assert podman.asked() == []
    source.read(None)
    assert podman.asked() == ["libpod list", "compat list"]


def test_what_was_read_again_meanwhile_is_newer_than_the_lists(podman, source):
    moved = podman.add_container("moved", PORT, "10.88.0.2")
    gone = podman.add_container("gone", PORT, "10.88.0.3")
    podman.add_container("same", PORT, "10.88.0.4")
    source.read(None)
    prepared(source)
    podman.containers[moved]["networks"] = {"podman": "10.88.0.9"}
    podman.containers[moved]["started"] += 1
    del podman.containers[gone]
    new = podman.add_container("new", PORT, "10.88.0.3")
    now = source.read(frozenset({moved, gone, new}))
    podman.asked()

    assert source.read(None) == now
    assert {w.name: w.networks[0].ipv4 for w in now} == {
        "moved": "10.88.0.9", "same": "10.88.0.4", "new": "10.88.0.3",
    }  # fmt: skip
    assert "libpod list" not in podman.asked()


def test_lists_that_podman_refuses_are_a_podman_that_does_not_answer(podman, source):
    podman.add_container("a", PORT, "10.88.0.2")
    source.read(None)
    podman.fail["containers/json"] = 500
    prepared(source)

    with pytest.raises(SourceUnavailable):
        source.read(None)
    podman.fail.clear()
    assert [workload.name for workload in source.read(None)] == ["a"]


def test_lists_of_before_a_failure_are_forgotten(podman, source):
    podman.add_container("a", PORT, "10.88.0.2")
    source.read(None)
    prepared(source)
    podman.stop()
    with pytest.raises(SourceUnavailable):
        source.read(frozenset({"0" * 64}))
    podman.start()
    podman.add_container("b", PORT, "10.88.0.3")

    assert [workload.name for workload in source.read(None)] == ["a", "b"]
