"""What explain says in each mode, with nothing loaded, and without a HAProxy."""

from dataclasses import replace

import pytest

from proxyctl.state.model import Running
from proxyctl.status import troubles
from proxyctl.status.explain import explanation
from tests.pipeline import SETTINGS, decided, pod, running, settings
from tests.unit.status import sample

ATTACHED = SETTINGS.replace('mode = "embedded"', 'mode = "attach"')
OWN_FRONTEND = SETTINGS.replace('mode = "embedded"', 'mode = "attach"\nfrontends = false')
REFUSED = troubles.rejected_without_routes("unknown keyword", own_templates=True, mode="own")
POD = pod("a", host="a.test", port="80")
WILD = pod("wild", host="*.wild.test", port="80")


def view_of(*workloads, text=SETTINGS, **more):
    """Return a view of what is decided with other settings, all of it running."""
    now = running(decided(*workloads, text=text))
    return replace(
        sample.view(*workloads, changes=()), settings=settings(text), running=now, **more
    )


def never_good(*workloads, **more):
    """Return a view of a house in which no configuration was ever accepted."""
    gone = {"claims": (), "shares": (), "desired": None, "rendered": None}
    return replace(sample.view(*workloads), problems=(REFUSED,), **gone, **more)


def told(view, target):
    """Return the verdict and everything that is said about a workload or a request."""
    document = explanation(view, target)
    reasons = [reason for part in document["workloads"] for reason in part["reasons"]]
    return document["verdict"], "; ".join(filter(None, [*reasons, document["reason"]]))


@pytest.mark.parametrize("text", [SETTINGS, ATTACHED])
def test_with_our_frontends_a_workload_and_its_host_are_published(text):
    assert told(view_of(POD, text=text), "a") == ("PUBLISHED", "")
    assert told(view_of(POD, text=text), "a.test") == ("PUBLISHED", "")


def test_where_nothing_was_ever_accepted_the_labels_are_not_to_blame():
    bare = Running(alive=True, version=(2, 6, 12), pid=7)
    verdict, reason = told(never_good(POD, running=bare), "a")

    assert verdict == "NOT PUBLISHED"
    assert "the configuration is refused by HAProxy whatever the labels say (PX302)" in reason
    assert "no label asks" not in reason


def test_what_haproxy_has_from_before_is_served_whatever_is_refused_now():
    view = never_good(POD)

    verdict, reason = told(view, "a")
    assert verdict == "PUBLISHED"
    assert reason.endswith("; HAProxy serves it as before")
    assert told(view, "a.test") == ("PUBLISHED", "")


def test_where_nothing_was_ever_accepted_a_mistake_in_the_labels_is_told_nevertheless():
    view = never_good(pod("typo", hots="a.test", port="80"))

    (part,) = explanation(view, "typo")["workloads"]

    assert [problem["id"] for problem in part["problems"]] == ["PX101"]


def test_where_nothing_was_ever_accepted_no_label_is_still_no_label():
    _, reason = told(never_good(pod("plain")), "plain")

    assert reason.startswith("it has no label of proxyctl")


def test_a_host_is_not_said_to_get_404_from_a_haproxy_that_has_not_our_entrypoints():
    bare = Running(alive=True, version=(2, 6, 12), pid=7)

    verdict, reason = told(never_good(POD, running=bare), "a.test")

    assert verdict == "NO ROUTE"
    assert reason.startswith("HAProxy has not loaded the entrypoint yet: proxyctl diff; asked for")


def test_what_is_decided_and_not_loaded_is_pending():
    bare = Running(alive=True, version=(2, 6, 12), pid=7)

    for target in ("a", "a.test"):
        assert told(replace(view_of(POD), running=bare), target) == (
            "PENDING",
            "HAProxy has not loaded it yet: proxyctl diff",
        )


@pytest.mark.parametrize(
    ("mode", "advice"),
    [
        ("embedded", "proxyctl run starts it"),
        ("own", "systemctl start proxyctl-haproxy"),
        ("attach", "systemctl start haproxy"),
    ],
)
@pytest.mark.parametrize("target", ["a", "a.test", "nobody.test", "a.test/../x"])
def test_where_haproxy_is_gone_nobody_is_said_to_answer(mode, advice, target):
    text = SETTINGS.replace("embedded", mode)
    view = replace(view_of(POD, text=text), running=Running(alive=False))

    verdict, reason = told(view, target)

    assert verdict in {"NO HAPROXY", "NO ROUTE"}
    assert reason.startswith(f"HAProxy does not run, so that nobody answers: {advice}")
    assert "404" not in reason


def test_a_haproxy_that_cannot_be_asked_is_not_said_to_be_dead():
    view = replace(view_of(POD), running=Running(alive=False), haproxy_error="permission denied")

    assert told(view, "a") == ("NO HAPROXY", "HAProxy does not answer: permission denied")


def test_with_a_frontend_of_ones_own_neither_port_nor_command_is_made_up():
    view = view_of(POD, text=OWN_FRONTEND)

    (part,) = explanation(view, "a")["workloads"]
    (route,) = part["routes"]
    lookups = explanation(view, "https://a.test:8443/")["lookups"]

    assert (route["urls"], route["asks_for"], route["try_it"]) == ([], ["a.test/"], "")
    assert [(one["bind"], one["map"], one["try_it"]) for one in lookups] == [
        ([], "maps/web.http.map", ""),
        ([], "maps/internal.http.map", ""),
    ]


def test_with_a_frontend_of_ones_own_it_is_that_which_decides():
    view = view_of(POD, text=OWN_FRONTEND)
    decides = (
        "your own frontend decides (frontends = false), by looking into /run/proxyctl/haproxy/"
    )

    assert told(view, "a") == ("PUBLISHED", f"{decides}maps/web.http.map")
    verdict, reason = told(view, "nobody.test")
    assert verdict == "NO ROUTE"
    assert reason.startswith(decides)
    assert "404" not in reason


@pytest.mark.parametrize("target", ["wild", "x.wild.test"])
def test_a_wildcard_is_not_said_to_be_found_by_a_frontend_of_ones_own(target):
    verdict, reason = told(view_of(WILD, text=OWN_FRONTEND), target)

    assert verdict == "UNCERTAIN"
    assert "docs/modes.md" in reason


def test_a_stopped_member_of_a_group_does_not_mean_503():
    shop = {"host": "s.test", "port": "80", "group": "shop"}
    view = view_of(pod("one", "10.88.0.2", **shop), sample.stopped(pod("two", **shop)))

    _, reason = told(view, "two")

    assert (
        reason == "the pod does not run: its route is held, others of its group get its requests"
    )


def test_lines_of_a_file_that_is_not_on_disk_are_not_told():
    view = view_of(POD)
    gone = replace(view, running=replace(view.running, files={}))

    assert explanation(view, "a")["workloads"][0]["routes"][0]["lines"]
    assert explanation(gone, "a")["workloads"][0]["routes"][0]["lines"] == ""


def test_a_route_whose_host_another_backend_still_has_is_pending():
    view = view_of(POD)
    maps = {**view.running.maps, "maps/web.http.map": (("a.test/", "old"),)}

    verdict, _ = told(replace(view, running=replace(view.running, maps=maps)), "a")

    assert verdict == "PENDING"


def test_the_command_to_try_reaches_what_listens_on_ipv6_only_or_behind_a_proxy():
    only6 = SETTINGS.replace('["127.0.0.1:8080"]', '["[::]:8080"]\nproxy-protocol = true')
    (part,) = explanation(view_of(POD, text=only6), "a")["workloads"]

    assert part["routes"][0]["try_it"] == (
        "curl -sv --haproxy-protocol --resolve a.test:8080:[::1] http://a.test:8080/"
    )
