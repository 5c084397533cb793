import json
from dataclasses import replace

import pytest

from proxyctl.routes.workload import Kind
from proxyctl.state.model import OldWorker
from proxyctl.status.view import Flapping, SourceState
from tests.pipeline import pod
from tests.unit.status import sample


def test_ls_is_a_row_for_each_server(ask):
    code, out, err = ask("ls")

    assert code == 0
    assert [line.split() for line in out.splitlines()[:4]] == [
        ["HOST", "PATH", "WORKLOAD", "BACKEND", "ADDRESS", "STATE", "WEIGHT", "ENTRYPOINT"],
        ["(tcp)", "-", "pod/db", "db", "10.88.0.9:5432", "UP", "100", "postgres"],
        ["*.example.com", "/", "pod/wild", "wild", "10.88.0.4:80", "UP", "100", "web"],
        ["git.example.com", "/", "pod/gitea", "gitea", "10.88.0.2:3000", "UP", "100", "web"],
    ]
    assert err == "2 workloads with mistakes: proxyctl status\n"


def test_ls_leaves_out_columns_that_say_the_same_in_each_row(ask):
    _, out, err = ask("ls", view=sample.healthy())

    assert out.splitlines() == [
        "HOST             PATH  WORKLOAD   BACKEND  ADDRESS         STATE",
        "git.example.com  /     pod/gitea  gitea    10.88.0.2:3000  UP",
    ]
    assert err == ""


def test_ls_of_an_empty_house_says_how_to_begin(ask):
    code, out, err = ask("ls", view=sample.view(pod("plain")))

    assert (code, out) == (0, "")
    assert "proxyctl.host=NAME" in err


def test_status_begins_with_the_problems(ask):
    code, out, _ = ask("status")

    assert code == 1
    assert out.startswith(
        'error PX101: pod "typo" has a label that proxyctl does not know\n'
        "   where   proxyctl.hots=typo.example.com\n"
        "   effect  the pod is not published (unknown labels are refused, so that a misspelt "
        '"allow" never opens a door)\n'
        "   fix     did you mean proxyctl.host ?      all labels: proxyctl labels\n"
        "\nerror PX204: "
    )
    assert "proxyctl  0.1.0, up 2 d 3 h, DEGRADED, 2 errors\n" in out
    assert "routes    8 published, 7 with a server that is up" in out


def test_status_of_a_healthy_house_is_short(ask):
    code, out, _ = ask("status", view=sample.healthy())

    assert code == 0
    assert out.splitlines()[0] == "proxyctl  0.1.0, up 2 d 3 h, healthy"
    assert "PX" not in out


def test_status_tells_a_source_that_does_not_answer(ask):
    silent = SourceState(name="podman", where="/run/p.sock", available=False, error="no")

    code, out, _ = ask("status", view=sample.view(pod("a"), sources=(silent,)))

    assert code == 1
    assert "podman    does not answer, /run/p.sock" in out


def test_json_is_the_document_of_the_service(ask):
    for verb, kind in (("status", "Status"), ("ls", "RouteList"), ("diff", "Plan"),
                       ("events", "ChangeList"), ("render", "Rendered")):  # fmt: skip
        _, out, _ = ask(verb, "--json")

        assert json.loads(out)["kind"] == kind


@pytest.mark.parametrize("target", ["gitea", "git.example.com", "http://git.example.com:8080/"])
def test_explain_of_what_is_published_ends_well_and_with_a_command(ask, target):
    code, out, _ = ask("explain", target)

    assert code == 0
    assert "PUBLISHED" in out
    assert "curl -sv --resolve git.example.com:8080:127.0.0.1 http://git.example.com:8080/" in out


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("typo", "fix     did you mean proxyctl.host ?"),
        ("late", 'pod "gitea" keeps it'),
        ("plain", "why not it has no label of proxyctl"),
        ("giteaa", "did you mean gitea?"),
        ("nobody.test", "HAProxy answers 404"),
        ("git.example.com/%zz", "HAProxy answers 400"),
        ("http://git.example.com/", "no entrypoint listens on port 80"),
    ],
)
def test_explain_of_what_is_not_published_says_why(ask, target, reason):
    code, out, _ = ask("explain", target)

    assert code == 1
    assert reason in out


def test_explain_of_a_host_lists_the_keys_in_the_order_of_asking(ask):
    _, out, _ = ask("explain", "git.example.com/api/x")

    assert (
        "  keys    → git.example.com/api  exact host, won: backend api\n"
        "            git.example.com/     exact host, a longer path won\n"
        "            1 more, not asked any more\n"
    ) in out
    assert "others  not published on entrypoint internal" in out


def test_explain_of_a_stopped_pod_does_not_pretend(ask):
    _, out, _ = ask("explain", "wiki")

    assert 'pod "wiki" (podman; stopped; containers none)  PUBLISHED, but no server is up' in out


def test_explain_of_every_sample_is_text(ask):
    for workload in sample.workloads():
        _, out, _ = ask("explain", f"{workload.kind}/{workload.name}")

        assert workload.subject in out
        assert workload.kind != Kind.STATIC or "as written in" in out


def test_events_tell_what_why_and_how_long(ask):
    code, out, _ = ask("events")

    assert code == 0
    assert "reload      38 ms  (podman)  ! reload backend gitea is new\n" in out
    assert "failed      38 ms  (podman)  HAProxy refused `add server shop/shop-b`\n" in out


def test_events_since_a_number_are_the_ones_after_it(ask):
    _, out, _ = ask("events", "--since", "2")

    assert len(out.splitlines()) == 1


def test_followed_events_are_lines_of_json(ask, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupt)

    code, out, _ = ask("events", "-f", "--json")

    assert code == 130
    assert [json.loads(line)["id"] for line in out.splitlines()] == [1, 2, 3]


def test_nothing_runs_and_nothing_is_known_of_the_past(proxyctl):
    code, out, err = proxyctl("events")

    assert (code, out) == (3, "")
    assert err.startswith("error: the service does not run")


def test_a_socket_that_was_named_is_not_replaced_by_a_look_of_our_own(proxyctl, tmp_path):
    code, _, err = proxyctl("--socket", str(tmp_path / "none.sock"), "ls")

    assert code == 3
    assert "does not run" in err


def test_without_a_service_the_house_is_looked_at_directly(proxyctl, config):
    config.add('[nas]\nhost = "nas.test"\nservers = ["127.0.0.1:1"]\n')

    code, out, err = proxyctl("-c", config.path, "ls")

    assert code == 0
    assert "nas.test  /     static/nas  nas      127.0.0.1:1" in out
    assert "reading Podman and HAProxy directly" in err


def test_quiet_means_no_remarks(proxyctl, config):
    config.add('[nas]\nhost = "nas.test"\nservers = ["127.0.0.1:1"]\n')

    _, _, err = proxyctl("-c", config.path, "-q", "ls")

    assert err == ""


def test_status_without_a_service_ends_with_3(proxyctl, config):
    code, out, _ = proxyctl("-c", config.path, "status", "-q")

    assert code == 3
    assert "the service does not run" in out


def test_status_tells_the_old_workers_that_still_finish(ask):
    old = (OldWorker(pid=8, reloads=1, uptime=20), OldWorker(pid=7, reloads=2, uptime=300))

    _, out, _ = ask("status", view=replace(sample.healthy(), old_workers=old))

    assert "2 old workers still finishing" in out
    assert "the oldest was started 5 min ago" in out


def test_what_flaps_is_told_with_its_count_and_where_to_look(ask):
    view = sample.healthy()
    (uid,) = {claim.workload.uid for claim in view.claims}
    view = replace(view, flapping={uid: Flapping(starts=7, until=view.time)})
    told = "7 starts in a minute, held back until "

    _, status, _ = ask("status", view=view)
    _, rows, _ = ask("ls", view=view)
    _, explained, _ = ask("explain", "gitea", view=view)

    assert told in status
    assert told in rows
    assert told in explained
    assert "podman pod logs gitea" in status
    assert "podman pod logs gitea" in explained
