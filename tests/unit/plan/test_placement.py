from dataclasses import replace

from proxyctl.plan.describe import describe, names_for
from proxyctl.plan.planner import make_plan
from proxyctl.plan.steps import (
    AddBackend,
    AddServer,
    PutMapEntry,
    Reload,
    RemoveBackend,
    RemoveMapEntry,
    RemoveServer,
    SetServerState,
    WriteFiles,
)
from proxyctl.state import spares
from proxyctl.state.model import RunningServer, ServerState
from proxyctl.state.spares import CLAIMS_MAP, KINDS, kind_of
from tests.pipeline import decided, pod, running

SPARES = (("http", 4), ("sticky", 1), ("tcp", 1))
MAP = "maps/web.http.map"
A = pod("a", "10.88.0.2", host="a.test", port="80")
B = pod("b", "10.88.0.3", host="b.test", port="80")


def world(*workloads):
    return decided(*workloads, spares=SPARES)


def steps(there, *after, quiet=False):
    want = world(*after)
    plan = make_plan(want.desired, want.rendered, there, quiet=quiet)
    return [step for step in plan.steps if not isinstance(step, WriteFiles)]


def with_claim(there, backend, spare, options, *servers):
    rows = (*there.maps[CLAIMS_MAP], (backend, f"{spare}|{options}"))
    return replace(
        there,
        maps={**there.maps, CLAIMS_MAP: rows},
        servers={**there.servers, spare: servers},
    )


def server(name, address):
    return RunningServer(
        name=name, address=address, port=80, weight=100, backup=False, state=ServerState.READY
    )


def test_an_ordinary_route_has_the_shape_of_a_spare():
    assert kind_of(decided(A).desired.backends[0]) == "http"
    sticky = pod("a", host="a.test", port="80", sticky="cookie")
    assert kind_of(decided(sticky).desired.backends[0]) == "sticky"
    tcp = pod("a", mode="tcp", entrypoint="postgres", port="80")
    assert kind_of(decided(tcp).desired.backends[0]) == "tcp"
    odd = pod("a", host="a.test", port="80", compress="on")
    assert kind_of(decided(odd).desired.backends[0]) is None


def test_a_new_route_claims_a_spare_and_needs_no_reload():
    got = steps(running(world(A)), A, B)
    options = spares.options_digest(world(B).desired.backends[0])
    (backend,) = world(B).desired.backends

    assert got == [
        PutMapEntry(CLAIMS_MAP, "b", f"::http-001|{options}"),
        AddServer("::http-001", backend.servers[0], backend.server_options),
        PutMapEntry(MAP, "b.test/", "::http-001"),
    ]


def test_a_spare_that_stands_for_a_backend_goes_on_to():
    options = spares.options_digest(world(B).desired.backends[0])
    there = with_claim(running(world(A)), "b", "::http-001", options, server("b", "10.88.0.3"))
    maps = {**there.maps, MAP: (("a.test/", "a"), ("b.test/", "::http-001"))}

    assert steps(replace(there, maps=maps), A, B) == []


def test_a_route_that_turns_sticky_moves_to_a_spare_of_that_kind():
    options = spares.options_digest(world(B).desired.backends[0])
    there = with_claim(running(world(A)), "b", "::http-001", options, server("b", "10.88.0.3"))
    maps = {**there.maps, MAP: (("a.test/", "a"), ("b.test/", "::http-001"))}
    sticky = pod("b", "10.88.0.3", host="b.test", port="80", sticky="cookie")

    got = steps(replace(there, maps=maps), A, sticky)

    assert PutMapEntry(CLAIMS_MAP, "b", f"::sticky-001|{options}") in got
    assert PutMapEntry(MAP, "b.test/", "::sticky-001") in got
    assert got[-1] == RemoveServer("::http-001", "b", gone=False)


def test_a_spare_is_let_go_when_its_pod_is():
    options = spares.options_digest(world(B).desired.backends[0])
    there = with_claim(running(world(A)), "b", "::http-001", options, server("b", "10.88.0.3"))
    maps = {**there.maps, MAP: (("a.test/", "a"), ("b.test/", "::http-001"))}

    assert steps(replace(there, maps=maps), A) == [
        RemoveMapEntry(MAP, "b.test/"),
        RemoveServer("::http-001", "b"),
        RemoveMapEntry(CLAIMS_MAP, "b"),
    ]


def test_a_spare_with_somebodys_server_is_not_free():
    there = running(world(A))
    there = replace(there, servers={**there.servers, "::http-001": (server("x", "10.88.0.9"),)})

    claimed = [s for s in steps(there, A, B) if isinstance(s, PutMapEntry) and s.map == CLAIMS_MAP]

    assert claimed[0].value.startswith("::http-002|")


def test_servers_made_with_other_options_move_to_another_spare_before_they_go():
    there = with_claim(running(world(A)), "b", "::http-001", "old", server("b", "10.88.0.3"))
    maps = {**there.maps, MAP: (("a.test/", "a"), ("b.test/", "::http-001"))}

    got = steps(replace(there, maps=maps), A, B)

    assert [type(step) for step in got] == [PutMapEntry, AddServer, PutMapEntry, RemoveServer]
    assert got[-1] == RemoveServer("::http-001", "b", gone=False)
    assert got[2] == PutMapEntry(MAP, "b.test/", "::http-002")


def test_a_section_whose_servers_have_new_options_is_replaced_by_a_spare():
    slow = pod("a", "10.88.0.2", host="a.test", port="80", labels={"health.interval": "9s"})

    got = steps(running(world(A)), slow)

    assert not any(isinstance(step, Reload) for step in got)
    assert got[-1] == RemoveServer("a", "a", gone=False)


def test_what_no_spare_can_carry_is_a_reload():
    odd = pod("b", "10.88.0.3", host="b.test", port="80", compress="on")

    assert steps(running(world(A)), A, odd) == [Reload(("backend b is new",))]


def test_without_a_free_spare_it_is_a_reload():
    more = [pod(f"p{n}", f"10.88.1.{n}", host=f"p{n}.test", port="80") for n in range(1, 6)]

    assert steps(running(world(A)), A, *more) == [Reload(("backend p5 is new",))]


def test_spares_that_run_low_are_filled_up_when_it_is_quiet():
    options = spares.options_digest(world(B).desired.backends[0])
    there = running(world(A))
    pods = [pod(f"p{n}", f"10.88.1.{n}", host=f"p{n}.test", port="80") for n in range(1, 5)]
    for n in range(1, 5):
        there = with_claim(
            there, f"p{n}", f"::http-00{n}", options, server(f"p{n}", f"10.88.1.{n}")
        )

    quiet = steps(there, A, *pods, quiet=True)

    assert quiet[-1] == Reload(("spare backends of kind http run low",))
    assert not any(isinstance(step, Reload) for step in steps(there, A, *pods))


def test_a_haproxy_without_spares_gets_them_by_a_reload():
    there = running(decided(A))

    (reload,) = steps(there, A)

    assert isinstance(reload, Reload)
    assert "the spare backends are new" in reload.reasons


def test_every_kind_has_a_bare_backend():
    assert all(not spare.servers and not spare.name for spare in KINDS.values())


def test_a_step_at_a_spare_is_told_by_the_name_of_the_route():
    step = SetServerState("::http-001", "a", ServerState.DRAIN)

    assert describe(step, {"::http-001": "a"}) == ("~", "a/a", "state drain")
    assert describe(step)[1] == "::http-001/a"


def test_a_plan_that_claims_a_spare_is_told_by_the_name_of_the_route():
    before, after = world(A), world(A, B)
    now = running(before)
    plan = make_plan(after.desired, after.rendered, now)

    words = [describe(step, names_for(plan.steps, now)) for step in plan.steps]

    assert ("+", "b/b", "server 10.88.0.3:80") in words
    assert ("+", "b.test/", "to backend b") in words
    assert ("+", "b", "by spare ::http-001") in words


def newest(there):
    return replace(there, version=(3, 4, 7))


def test_a_haproxy_that_can_adds_the_backend_under_its_own_name():
    got = steps(newest(running(world(A))), A, B)
    (backend,) = world(B).desired.backends
    section = next(s for s in world(A, B).rendered.sections if s.name == "backend/b")

    assert got == [
        AddBackend("b", "http", section.digest),
        AddServer("b", backend.servers[0], backend.server_options),
        PutMapEntry(MAP, "b.test/", "b"),
    ]


def test_a_backend_that_no_spare_is_like_is_not_added_but_loaded():
    odd = pod("b", "10.88.0.3", host="b.test", port="80", compress="on")

    assert [type(step) for step in steps(newest(running(world(A))), A, odd)] == [Reload]


def test_a_backend_whose_name_is_taken_by_its_old_section_is_served_by_a_spare():
    sticky = pod("a", "10.88.0.2", host="a.test", port="80", sticky="cookie")

    got = steps(newest(running(world(A))), sticky)

    assert not any(isinstance(step, AddBackend | Reload) for step in got)
    assert PutMapEntry(MAP, "a.test/", "::sticky-001") in got


def test_an_empty_backend_goes_when_it_is_quiet_and_one_with_servers_first_loses_them():
    there = newest(running(world(A, B)))
    emptied = replace(
        there,
        servers={**there.servers, "b": ()},
        maps={**there.maps, MAP: (("a.test/", "a"),)},
    )

    assert steps(emptied, A) == []
    assert steps(emptied, A, quiet=True) == [RemoveBackend("b")]
    assert steps(replace(emptied, version=(3, 2, 0)), A, quiet=True) == []
    assert not any(isinstance(step, RemoveBackend) for step in steps(there, A, quiet=True))


def test_a_backup_that_comes_goes_by_a_reload_where_requests_wait():
    """HAProxy uses the first backup only, and the one that lets requests wait is there before."""
    group = {"host": "g.test", "port": "80", "group": "g"}
    main = pod("m", "10.88.0.2", labels=group)
    spare_one = pod("s", "10.88.0.3", labels={**group, "backup": "yes"})
    off = pod("s", "10.88.0.3", labels={**group, "backup": "yes", "hold": "off"})
    leader = pod("m", "10.88.0.2", labels={**group, "hold": "off"})

    assert [type(s) for s in steps(running(world(main)), main, spare_one)] == [Reload]
    (reload,) = steps(running(world(A)), A, spare_one)
    assert reload.reasons == ("backup server s is new",)
    assert steps(running(world(main, spare_one)), main, spare_one) == []
    added = steps(running(world(leader)), leader, off)
    assert not any(isinstance(step, Reload) for step in added)
