"""A workload that was removed a moment ago, and the one that comes after it."""

from proxyctl.routes.workload import Phase
from proxyctl.status import answers
from proxyctl.status.explain import explanation
from tests.pipeline import pod
from tests.unit.status import sample


def test_the_successor_of_a_removed_pod_is_explained_by_its_own_backend():
    old = pod("blue", host="a.test", port="80", phase=Phase.GONE)
    view = sample.view(old, pod("green", "10.88.0.3", host="a.test", port="80"))

    (part,) = explanation(view, "green")["workloads"]

    assert part["routes"][0]["backend"] == "green"
    assert [server["server"] for server in part["routes"][0]["servers"]] == ["green"]
    assert [row["backend"] for row in answers.routes(view)["items"]] == ["green"]


def test_a_removed_pod_without_a_successor_holds_its_requests_for_a_while():
    view = sample.view(pod("blue", host="a.test", port="80", phase=Phase.GONE))

    (part,) = explanation(view, "blue")["workloads"]

    assert part["reasons"] == [
        "the pod was removed: for a while its requests wait for a successor"
    ]
