from dataclasses import replace

from proxyctl.problems import Severity
from proxyctl.routes.claims import Match, translate
from proxyctl.routes.conflicts import resolve
from tests.pipeline import pod, settings, stopped

A = Match(entrypoint="web", host="a.test")


def resolved(*workloads, served=None):
    return resolve(translate(workloads, settings(), {}).claims, served or {})


def shares(resolution):
    return {s.name: [c.workload.name for c in s.claims] for s in resolution.shares}


def test_the_older_workload_wins_and_the_loser_is_told_why():
    old = pod("old", host="a.test", port="1", created=1)
    new = pod("new", host="a.test", port="1", created=2)

    resolution = resolved(new, old)

    assert shares(resolution) == {"old": ["old"]}
    assert [(p.id, p.subject) for p in resolution.problems] == [("PX204", 'pod "new"')]


def test_who_is_served_already_keeps_the_route():
    old = pod("old", host="a.test", port="1", created=1)
    new = pod("new", host="a.test", port="1", created=2)

    resolution = resolved(old, new, served={A: "pod//new-id/"})

    assert shares(resolution) == {"new": ["new"]}


def test_two_routes_of_one_workload_that_ask_for_the_same_are_told_as_its_own_matter():
    labels = {"host": "a.test", "port": "80", "route.api.port": "9000"}

    resolution = resolved(pod("a", labels=labels))

    (problem,) = resolution.problems
    assert (problem.id, problem.subject) == ("PX206", 'pod "a"')
    assert problem.summary == "has two routes that ask for a.test/"
    assert problem.where == "its unnamed route (port 80) and its route api (port 9000)"
    assert problem.effect.startswith("its unnamed route gets these requests")


def test_a_claim_that_repeats_its_match_is_no_rival_of_its_own():
    (claim,) = translate([pod("a", host="a.test", port="80")], settings(), {}).claims
    twice = replace(claim, matches=claim.matches * 2)

    resolution = resolve([twice], {})

    assert resolution.problems == ()
    assert [share.matches for share in resolution.shares] == [(A,)]


def test_a_running_workload_wins_over_a_stopped_one():
    old = stopped(pod("old", host="a.test", port="1", created=1))
    new = pod("new", host="a.test", port="1", created=2)

    assert shares(resolved(old, new, served={A: "pod//old-id/"})) == {"new": ["new"]}


def test_priority_decides_first():
    old = pod("old", host="a.test", port="1", created=1)
    new = pod("new", host="a.test", port="1", created=2, priority="5")

    assert shares(resolved(old, new, served={A: "pod//old-id/"})) == {"new": ["new"]}


def test_a_loser_keeps_the_hosts_that_nobody_else_wants():
    old = pod("old", host="a.test", port="1", created=1)
    new = pod("new", host="a.test,b.test", port="1", created=2)

    resolution = resolved(old, new)

    assert [(s.name, [m.host for m in s.matches]) for s in resolution.shares] == [
        ("new", ["b.test"]),
        ("old", ["a.test"]),
    ]


def test_workloads_of_one_group_share_a_backend_with_its_name():
    one = pod("one", host="shop.test", port="1", group="shop", weight="90")
    two = pod("two", host="shop.test", port="1", group="shop", weight="10")

    resolution = resolved(one, two)

    assert shares(resolution) == {"shop": ["one", "two"]}
    assert resolution.problems == ()


def test_another_group_does_not_join():
    one = pod("one", host="shop.test", port="1", group="shop", created=1)
    two = pod("two", host="shop.test", port="1", group="store", created=2)

    resolution = resolved(one, two)

    assert shares(resolution) == {"shop": ["one"]}
    assert [p.id for p in resolution.problems] == ["PX204"]


def test_members_that_differ_follow_the_leader_and_are_warned():
    one = pod("one", host="shop.test", port="1", group="shop", created=1)
    two = pod("two", host="shop.test", port="2", group="shop", created=2, allow="private")

    (problem,) = resolved(one, two).problems

    assert (problem.id, problem.severity, problem.where) == ("PX205", Severity.WARNING, "allow")


def test_a_group_keeps_its_backend_name_from_one_replica_to_two():
    one = pod("one", host="shop.test", port="1", group="shop")
    two = pod("two", host="shop.test", port="1", group="shop")

    assert shares(resolved(one)).keys() == shares(resolved(one, two)).keys() == {"shop"}


def test_a_pod_that_is_called_like_a_group_gives_way():
    one = pod("one", host="shop.test", port="1", group="shop")
    shop = pod("shop", host="other.test", port="1")

    assert shares(resolved(one, shop)) == {"shop": ["one"], "shop:pod": ["shop"]}


def test_one_group_with_several_sets_of_members_has_several_backends():
    one = pod("one", host="a.test,b.test", port="1", group="g")
    two = pod("two", host="b.test", port="1", group="g")

    resolution = resolved(one, two)

    assert sorted(shares(resolution).values()) == [["one"], ["one", "two"]]
    assert len(resolution.shares) == 2


def test_the_same_path_on_another_entrypoint_is_no_conflict():
    one = pod("one", host="a.test", port="1")
    two = pod("two", host="a.test", port="1", entrypoint="internal")

    assert resolved(one, two).problems == ()


# ---- TLS that ends here, and TLS that is passed on ------------------------------------------

TLS = """
[entrypoints.web]
bind = [":80"]
[entrypoints.websecure]
bind = [":443"]
tls = true
"""


def with_tls(*workloads, served=None):
    return resolve(translate(workloads, settings(TLS), {}).claims, served or {})


def places(resolution):
    return {s.name: sorted(f"{m.entrypoint} {m}" for m in s.matches) for s in resolution.shares}


def passed(name, created, host="a.test"):
    return pod(name, host=host, port="1", created=created, mode="passthrough")


def test_a_host_is_passed_on_for_all_its_paths():
    resolution = with_tls(
        passed("old", 1), pod("new", host="a.test,b.test", path="/x", port="1", created=2)
    )

    assert places(resolution) == {
        "old": ["websecure a.test/"],
        "new": ["web a.test/x", "web b.test/x", "websecure b.test/x"],
    }
    (problem,) = resolution.problems
    assert (problem.id, problem.subject) == ("PX204", 'pod "new"')
    assert "both the same proxyctl.mode" in problem.fix


def test_a_path_that_is_served_keeps_its_host_from_being_passed_on():
    match = Match(entrypoint="websecure", host="a.test", path="/x")
    old = pod("old", host="a.test", path="/x", port="1", created=2)

    resolution = with_tls(passed("new", 1), old, served={match: "pod//old-id/"})

    assert places(resolution) == {"old": ["web a.test/x", "websecure a.test/x"]}
    assert [p.subject for p in resolution.problems] == ['pod "new"']


def test_another_name_is_contested_like_a_host():
    moves = pod("moves", **{"host": "a.test", "redirect-from": "b.test", "created": 2}, port="1")

    resolution = with_tls(moves, pod("b", host="b.test", port="1", created=1))

    assert {s.name: s.moved for s in resolution.shares} == {"b": (), "moves": ()}
    assert [(p.id, p.subject) for p in resolution.problems] == [("PX204", 'pod "moves"')]


def test_other_names_belong_to_the_share_of_their_workload():
    labels = {"host": "a.test", "redirect-from": "b.test", "group": "shop", "port": "1"}
    one, two = pod("one", created=1, **labels), pod("two", created=2, **labels)

    (share,) = with_tls(one, two).shares

    assert [str(match) for match in share.moved] == ["b.test/", "b.test/"]
    assert len(share.claims) == 2


def test_who_lost_its_host_does_not_keep_other_names_from_others():
    loser = pod("loser", **{"host": "a.test", "redirect-from": "b.test", "created": 2}, port="1")
    others = (
        pod("a", host="a.test", port="1", created=1),
        pod("b", host="b.test", port="1", created=3),
    )

    resolution = with_tls(loser, *others)

    assert sorted(places(resolution)) == ["a", "b"]
    assert all("loser" not in uid for uid in resolution.owners.values())


def test_who_lost_its_host_is_told_that_only_whoever_has_its_other_names():
    loser = pod("a", host="y.test", port="80", created=2, **{"redirect-from": "x.test"})
    winner, other = pod("b", host="y.test", port="80"), pod("c", host="x.test", port="80")

    for served in ({}, {Match("web", "x.test"): f"{other.uid}/"}):
        made = resolved(loser, winner, other, served=served)

        told = [(p.workload, p.summary) for p in made.problems]
        assert {uid for uid, _ in told} == {loser.uid}
        assert all("y.test" in summary for _, summary in told)
