from dataclasses import replace

from proxyctl.plan.planner import MANY, make_plan
from proxyctl.plan.steps import (
    AddServer,
    CutSessions,
    PutMapEntry,
    Reload,
    RemoveMapEntry,
    RemoveServer,
    ReplaceMap,
    SetServerAddress,
    SetServerState,
    SetServerWeight,
    Start,
    WriteFiles,
)  # fmt: skip
from proxyctl.state.model import Running, ServerState
from tests.pipeline import decided, pod, running, stopped

MAP = "maps/web.http.map"
A = pod("a", "10.88.0.2", host="a.test", port="80")
B = pod("b", "10.88.0.3", host="b.test", port="80")


def steps(before, after, **changes):
    """The steps from a HAProxy that is *before* to *after*, without the files."""
    there = replace(running(decided(*before)), **changes)
    want = decided(*after)
    plan = make_plan(want.desired, want.rendered, there)
    return [step for step in plan.steps if not isinstance(step, WriteFiles)]


def group(name, ip="10.88.0.2", **more):
    return pod(name, ip, host="shop.test", port="80", group="shop", **more)


def test_nothing_to_do_is_an_empty_plan():
    want = decided(A, B)

    plan = make_plan(want.desired, want.rendered, running(want))

    assert plan.steps == ()
    assert plan.cost == "noop"


def test_haproxy_that_does_not_run_is_started_after_its_files_are_written():
    want = decided(A)

    plan = make_plan(want.desired, want.rendered, Running(alive=False))

    assert plan.steps == (WriteFiles(tuple(sorted(want.rendered.texts))), Start())


def test_a_new_backend_is_a_reload_with_its_reason():
    assert steps([A], [A, B]) == [Reload(("backend b is new",))]


def test_a_changed_option_is_a_reload_with_its_reason():
    assert steps([A], [pod("a", host="a.test", port="80", compress="yes")]) == [
        Reload(("backend a changed",))
    ]


def test_a_moved_pod_is_a_new_address_at_run_time():
    assert steps([A], [pod("a", "10.88.0.9", host="a.test", port="80")]) == [
        SetServerAddress("a", "a", "10.88.0.9", 80)
    ]


def test_a_moved_pod_with_an_http_check_is_another_server_that_is_checked_first():
    checked = {"host": "a.test", "port": "80", "health": "/health"}
    gone, new = steps([pod("a", **checked)], [pod("a", "10.88.0.9", **checked)])

    assert gone == RemoveServer("a", "a")
    assert (new.server.address, new.checked_first) == ("10.88.0.9", True)


def test_a_reload_knows_the_servers_that_are_to_be_checked_first():
    checked = {"host": "a.test", "port": "80", "health": "/health"}
    (fresh,) = steps([B], [B, pod("a", **checked)])
    (other,) = steps([pod("a", **checked)], [pod("a", **checked), B])

    assert [(step.backend, step.server.name) for step in fresh.unproven] == [("a", "a")]
    assert other.unproven == ()


def test_a_server_left_in_maintenance_with_requests_in_flight_is_made_ready_as_it_is():
    one = pod("a", host="a.test", port="80", health="/health")
    (server,) = running(decided(one)).servers["a"]
    busy = replace(server, state=ServerState.MAINT, sessions=1)

    assert steps([one], [one], servers={"a": (busy,)}) == [
        SetServerState("a", "a", ServerState.READY)
    ]


def test_a_removed_pod_loses_its_route_and_its_server_without_a_reload():
    assert steps([A, B], [A]) == [RemoveMapEntry(MAP, "b.test/"), RemoveServer("b", "b")]


def test_a_removed_pod_loses_its_address_before_a_reload():
    got = steps([A, B], [A, pod("c", "10.88.0.3", host="c.test", port="80")])

    assert got == [
        RemoveMapEntry(MAP, "b.test/"),
        RemoveServer("b", "b"),
        Reload(("backend c is new",)),
    ]


def test_a_stopped_pod_goes_to_maintenance_before_its_address_is_taken_away():
    assert steps([A], [stopped(A)]) == [
        SetServerState("a", "a", ServerState.MAINT),
        SetServerAddress("a", "a", "127.0.0.1", 1),
    ]


def test_a_started_pod_has_its_address_before_it_is_ready():
    assert steps([stopped(A)], [A]) == [
        SetServerAddress("a", "a", "10.88.0.2", 80),
        SetServerState("a", "a", ServerState.READY),
    ]


def test_swapped_addresses_are_all_set_before_anything_else():
    a, b = (
        pod("a", "10.88.0.3", host="a.test", port="80"),
        pod("b", "10.88.0.2", host="b.test", port="80"),
    )

    assert steps([A, B], [a, b]) == [
        SetServerAddress("a", "a", "10.88.0.3", 80),
        SetServerAddress("b", "b", "10.88.0.2", 80),
    ]


def test_a_replica_joins_and_leaves_at_run_time():
    one, two = group("one"), group("two", "10.88.0.3", weight="7")
    backend = decided(one, two).desired.backends[0]

    assert steps([one], [one, two]) == [
        AddServer("shop", backend.servers[1], backend.server_options)
    ]
    assert steps([one, two], [one]) == [RemoveServer("shop", "two")]


def test_a_weight_is_changed_at_run_time():
    assert steps([group("one")], [group("one", weight="7")]) == [SetServerWeight("shop", "one", 7)]


def test_a_server_that_becomes_a_backup_is_replaced():
    got = steps([group("one")], [group("one", backup="yes")])

    assert [type(step) for step in got] == [RemoveServer, Reload]
    assert got[1].reasons == ("backup server one is new",)


def test_somebodys_disable_server_is_repaired():
    want = decided(A)
    there = running(want)
    (server,) = there.servers["a"]
    drifted = replace(there, servers={"a": (replace(server, state=ServerState.MAINT),)})

    plan = make_plan(want.desired, want.rendered, drifted)

    assert plan.steps == (SetServerState("a", "a", ServerState.READY),)


def test_the_server_that_holds_requests_is_left_alone():
    want = decided(A)
    there = running(want)
    (server,) = there.servers["a"]
    held = replace(there, servers={"a": (server, replace(server, name="::hold", port=1))})

    assert make_plan(want.desired, want.rendered, held).steps == ()


def test_a_host_more_for_a_backend_that_is_loaded_is_a_map_entry():
    assert steps([A], [pod("a", host="a.test,c.test", port="80")]) == [
        PutMapEntry(MAP, "c.test/", "a")
    ]


def test_a_route_that_changes_hands_is_a_map_entry():
    a = pod("a", host="a.test,x.test", port="80")
    b = pod("b", "10.88.0.3", host="b.test,x.test", port="80")

    got = steps([a, B], [A, b])

    assert got == [PutMapEntry(MAP, "x.test/", "b")]


def test_many_entries_are_replaced_at_once():
    hosts = ",".join(f"h{n}.test" for n in range(MANY + 1))
    many = pod("a", host=f"a.test,{hosts}", port="80")
    want = decided(many)

    assert steps([A], [many]) == [ReplaceMap(MAP, want.desired.maps[-1].entries)]


def test_a_key_that_stands_twice_in_a_running_map_is_put_right():
    want = decided(A)
    there = running(want)
    maps = {**there.maps, MAP: (("a.test/", "a"), ("a.test/", "a"))}

    plan = make_plan(want.desired, want.rendered, replace(there, maps=maps))

    assert plan.steps == (PutMapEntry(MAP, "a.test/", "a"),)


def test_a_haproxy_that_runs_something_else_is_reloaded():
    (reload,) = steps([A], [A], sections={}, servers={}, maps={})

    assert isinstance(reload, Reload)
    assert "backend a is new" in reload.reasons


def test_files_that_somebody_edited_are_written_again():
    want = decided(A)
    there = running(want)
    edited = replace(there, files={**there.files, "haproxy.cfg": "x"})

    assert make_plan(want.desired, want.rendered, edited).steps == (WriteFiles(("haproxy.cfg",)),)


def test_a_pod_with_an_http_check_that_returns_is_another_whatever_is_left_of_its_requests():
    """Who was stopped leads nowhere; one that is taken out by hand keeps its address."""
    checked = pod("a", "10.88.0.2", host="a.test", port="80", health="/up")
    want = decided(checked)
    there = running(want)
    (server,) = there.servers["a"]

    def steps(**change):
        now = replace(server, **{"state": ServerState.MAINT, "sessions": 3, **change})
        plan = make_plan(want.desired, want.rendered, replace(there, servers={"a": (now,)}))
        return plan.steps

    back, by_hand = steps(address="127.0.0.1", port=1), steps()

    assert back[0] == RemoveServer("a", "a", gone=False)
    assert isinstance(back[1], AddServer)
    assert by_hand == (SetServerState("a", "a", ServerState.READY),)


def test_what_a_stopped_pod_left_unanswered_is_cut_when_everything_else_is_done():
    want = decided(stopped(pod("a", "10.88.0.2", host="a.test", port="80")))
    there = running(want)
    (server,) = there.servers["a"]

    def plan(**change):
        now = replace(there, servers={"a": (replace(server, **change),)})
        return make_plan(want.desired, want.rendered, now)

    just_stopped = plan(address="10.88.0.2", port=80, state=ServerState.READY, sessions=2)
    later = plan(sessions=2)

    assert not any(isinstance(step, CutSessions) for step in just_stopped.steps)
    assert later.steps == (CutSessions("a", "a"),)
    assert later.urgent.steps == ()
    assert plan(sessions=0).steps == ()
