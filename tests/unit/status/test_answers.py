import json

from proxyctl.problems import Problem, Severity
from proxyctl.routes.workload import Kind, Phase
from proxyctl.state.model import Running
from proxyctl.status import answers
from proxyctl.status.view import SourceState
from tests.pipeline import member, pod
from tests.unit.status import sample


def row(view, server):
    return next(r for r in answers.routes(view)["items"] if r["server"] == server)


def status(view):
    return answers.status(view, now=view.time)


def test_every_answer_is_json_in_the_same_envelope():
    view = sample.view()

    for make in (
        status, answers.routes, answers.problems, answers.plan, answers.changes,
        answers.rendered,
    ):  # fmt: skip
        document = json.loads(json.dumps(make(view)))
        assert document["schema"] == "proxyctl/1"
        assert document["kind"]


def test_a_house_without_problems_is_healthy():
    document = status(sample.healthy())

    assert document["healthy"] is True
    assert document["routes"] == {"total": 1, "up": 1}
    assert document["uptime"] == 183_900


def test_the_service_is_up_until_the_moment_of_asking():
    view = sample.healthy()

    document = answers.status(view, now=view.time + 12)

    assert (document["uptime"], document["observed"]) == (183_912, view.time)


def test_errors_come_before_warnings_and_make_it_degraded():
    warning = Problem(
        id="PX104", subject="a", summary="b", where="c", effect="d", fix="e",
        severity=Severity.WARNING,
    )  # fmt: skip
    view = sample.view(problems=(warning, *sample.view().problems))

    document = status(view)

    assert [p["id"] for p in document["problems"]] == ["PX101", "PX204", "PX104"]
    assert document["healthy"] is False


def test_a_warning_alone_is_healthy():
    problem = Problem(
        id="PX104", subject="a", summary="b", where="c", effect="d", fix="e",
        severity=Severity.WARNING,
    )  # fmt: skip

    assert answers.is_healthy(sample.view(pod("a", host="a.test", port="80"), problems=(problem,)))


def test_a_dead_haproxy_and_a_silent_source_are_not_healthy():
    one = pod("a", host="a.test", port="80")
    silent = SourceState(name="podman", where="x", available=False, error="no socket")

    assert not answers.is_healthy(sample.view(one, now=Running(alive=False)))
    assert not answers.is_healthy(sample.view(one, sources=(silent,)))


def test_each_server_of_each_match_is_a_row():
    rows = answers.routes(sample.view())["items"]

    assert [(r["host"], r["path"], r["server"]) for r in rows] == [
        ("", "", "db"),
        ("*.example.com", "/", "wild"),
        ("git.example.com", "/", "gitea"),
        ("git.example.com", "/api", "api"),
        ("hello.example.com", "/", "hello"),
        ("nas.example.com", "/", "nas.1"),
        ("nas.example.com", "/", "nas.2"),
        ("shop.example.com", "/", "shop-a"),
        ("shop.example.com", "/", "shop-b"),
        ("wiki.example.com", "/", "wiki"),
    ]


def test_the_state_of_a_server_is_the_word_that_says_most():
    view = sample.view()

    assert row(view, "gitea")["status"] == "UP"
    assert row(sample.with_server(view, "gitea", up=False), "gitea")["status"] == "DOWN"
    assert row(sample.with_server(view, "gitea", state=sample.MAINT), "gitea")["status"] == "MAINT"
    assert row(view, "wiki")["status"] == "STOPPED"
    assert row(sample.dead(), "gitea")["status"] == "NO HAPROXY"


def test_a_server_that_haproxy_does_not_have_is_pending_and_neither_up_nor_down():
    found = row(sample.view(now=Running(alive=True)), "gitea")

    assert found["status"] == "PENDING"
    assert found["up"] is None


def test_a_stopping_pod_drains_and_an_unhealthy_one_says_so():
    drains = pod("a", host="a.test", port="80", phase=Phase.STOPPING)
    ill = pod(
        "b", kind=Kind.CONTAINER, host="b.test", port="80", health="podman",
        members=(member("b", health="unhealthy"),),
    )  # fmt: skip
    view = sample.view(drains, ill)

    assert row(view, "a")["status"] == "DRAIN"
    assert row(view, "b")["status"] == "UNHEALTHY"


def test_a_row_tells_the_numbers_of_its_workloads_problems():
    view = sample.view(
        pod("a", host="a.test,b.test", port="80"), pod("b", host="b.test", port="80", created=9)
    )
    found = answers.routes(view)

    assert row(view, "a")["problems"] == []
    assert found["refused"] == 1


def test_the_url_of_a_row_has_the_entrypoints_port():
    assert row(sample.view(), "api")["url"] == "http://git.example.com:8080/api"


def test_changes_are_those_after_a_number():
    document = answers.changes(sample.view(), since=1)

    assert [item["id"] for item in document["items"]] == [2, 3]
    assert document["next"] == 3


def test_a_plan_has_the_cost_of_each_step():
    document = answers.plan(sample.dead())

    assert [(i["sign"], i["what"], i["cost"]) for i in document["items"]] == [
        ("~", "files", "file"),
        ("!", "start", "start"),
    ]
    assert document["cost"] == "start"
    assert document["blind"] == ""


def test_a_plan_made_without_podmans_answer_says_that_it_is_blind():
    silent = SourceState(name="podman", where="x", available=False, error="no socket")

    assert answers.plan(sample.view(sources=(silent,)))["blind"] == "podman: no socket"


def test_a_plan_is_blind_where_haproxy_could_not_be_observed():
    assert answers.plan(sample.view(haproxy_error="timed out"))["blind"] == "timed out"


def test_one_workloads_configuration_is_its_section_and_map_rows():
    document = answers.rendered(sample.view(), "gitea")

    lines = document["config"].splitlines()
    assert lines[:2] == ['# pod "gitea"', "backend gitea from ::http-pods"]
    assert lines[-1].startswith("    server ::hold ")
    assert not [line for line in lines[1:] if line.startswith(("backend shop", "# pod"))]
    assert document["maps"] == {"maps/web.http.map": "git.example.com/ gitea\n"}


def test_a_group_is_found_by_its_name_and_by_its_members():
    view = sample.view()

    assert answers.rendered(view, "shop")["config"] == answers.rendered(view, "shop-b")["config"]
    assert "backend shop from" in answers.rendered(view, "pod/shop-a")["config"]


def test_an_unknown_workload_has_no_configuration():
    assert answers.rendered(sample.view(), "nosuch")["found"] is False


def test_the_whole_configuration_is_the_text_that_was_rendered():
    view = sample.view()

    document = answers.rendered(view)

    assert document["config"] == view.rendered.texts["haproxy.cfg"]
    assert {file["name"] for file in document["files"]} == set(view.rendered.texts)
