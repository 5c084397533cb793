from proxyctl.problems import Severity
from proxyctl.recent import Recent
from proxyctl.routes.claims import Match, translate
from proxyctl.routes.endpoints import Endpoint
from proxyctl.routes.workload import (
    Health,
    Kind,
    Network,
    NetworkMode,
    Phase,
    PublishedPort,
    Workload,
)  # fmt: skip
from tests.pipeline import SETTINGS, member, pod, settings, stopped


def claims(*workloads, text=SETTINGS, last_good=None):
    return translate(workloads, settings(text), last_good or {})


def ids(translation):
    return [problem.id for problem in translation.problems]


def test_one_label_and_one_exposed_port_make_a_route():
    gitea = pod("gitea", host="git.example.com", members=(member("web", exposed=(3000,)),))

    (claim,) = claims(gitea).claims

    assert claim.matches == (Match(entrypoint="web", host="git.example.com"),)
    assert claim.endpoints == (Endpoint(address="10.88.0.2", port=3000),)
    assert claim.backend == "gitea"


def test_a_pod_without_our_labels_asks_for_nothing_and_is_no_problem():
    made = claims(pod("db", labels={"!app": "x"}))

    assert made.claims == ()
    assert made.problems == ()


def test_several_ports_without_a_label_are_an_error_that_lists_them():
    members = (member("web", exposed=(3000,)), member("db", exposed=(3306,)))

    (problem,) = claims(pod("gitea", host="a.test", members=members)).problems

    assert problem.id == "PX110"
    assert "3000, 3306" in problem.where
    assert "proxyctl.port=PORT" in problem.fix


def test_a_published_port_serves_where_nothing_is_exposed():
    published = (PublishedPort(container_port=80, host_ip="", host_port=8123),)

    (claim,) = claims(pod("a", host="a.test", published=published)).claims

    assert claim.port == 80


class CountingRecent(Recent):
    """Counts what is not remembered."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def of(self, key, arguments, function):
        def counted(*same):
            self.calls += 1
            return function(*same)

        return super().of(key, arguments, counted)


def test_a_workload_that_is_told_again_as_it_was_is_not_understood_again():
    recent = CountingRecent()
    good = {}
    for _ in range(3):
        told = pod("a", host="a.test", port="80")
        good = dict(translate([told], settings(SETTINGS), good, recent).good)
        recent.turn()

    assert recent.calls == 1


def test_one_mistake_refuses_the_whole_workload():
    made = claims(pod("a", labels={"route.x.host": "x.test", "route.x.port": "1",
                                   "route.y.host": "y.test", "route.y.port": "0"}))  # fmt: skip

    assert made.claims == ()
    assert ids(made) == ["PX102"]


def test_a_misspelt_key_is_refused_with_what_was_meant():
    (problem,) = claims(pod("gitea", labels={"hots": "git.example.com"})).problems

    assert problem.id == "PX101"
    assert problem.subject == 'pod "gitea"'
    assert problem.where == "proxyctl.hots=git.example.com"
    assert "did you mean proxyctl.host ?" in problem.fix


def test_a_route_cannot_be_switched_off_and_the_whole_workload_can():
    labels = {"host": "a.test", "port": "1", "route.b.enable": "false"}
    (problem,) = claims(pod("a", labels=labels)).problems

    assert problem.where == "proxyctl.route.b.enable=false"
    assert "did you mean proxyctl.enable ?" in problem.fix


def test_headers_that_fill_haproxys_buffer_together_are_refused():
    many = {f"header.response.X-{n}": "x" * 1000 for n in range(5)}
    (problem,) = claims(pod("a", labels={"host": "a.test", "port": "1", **many})).problems

    assert problem.id == "PX106"
    assert problem.where == "proxyctl.header.response=5 headers"


def test_a_misspelt_key_that_named_routes_inherit_is_named_as_written():
    made = claims(pod("a", labels={"alow": "private", "route.w.host": "a.test",
                                   "route.w.port": "1"}))  # fmt: skip

    assert [problem.where for problem in made.problems] == ["proxyctl.alow=private"]
    assert made.claims == ()


def test_a_key_in_upper_case_is_not_ours_but_told():
    (problem,) = claims(pod("a", host="a.test", port="1", labels={"Host": "b.test"})).problems

    assert problem.id == "PX101"
    assert "proxyctl.host" in problem.fix


def test_near_miss_prefixes_are_warned_about_and_change_nothing():
    for label in (
        "proxctl.host",
        "proxyctl_host",
        "Proxyctl.host",
        "proxyctl-host",
        "proxyctrl.x",
    ):
        workload = pod("a", host="a.test", port="1")
        odd = tuple(sorted((*workload.labels, (label, "evil.test"))))
        made = claims(Workload(kind=Kind.POD, id="1", name="a", labels=odd))

        assert [m.host for c in made.claims for m in c.matches] == ["a.test"], label
        assert [(p.id, p.severity) for p in made.problems] == [("PX105", Severity.WARNING)], label


def test_labels_without_an_opt_in_are_a_warning():
    (problem,) = claims(pod("a", port="80")).problems

    assert (problem.id, problem.severity) == ("PX104", Severity.WARNING)


def test_enable_false_switches_a_workload_off_without_a_word():
    made = claims(pod("a", host="a.test", port="1", enable="FALSE"))

    assert made.claims == ()
    assert made.problems == ()


def test_x_labels_are_free():
    made = claims(pod("a", host="a.test", port="1", labels={"x-anything goes": "here\n"}))

    assert len(made.claims) == 1
    assert made.problems == ()


def test_labels_of_later_versions_are_refused_by_name():
    made = claims(pod("a", host="a.test", port="1", auth="staff"))

    assert ids(made) == ["PX103"]


def test_named_routes_inherit_unnamed_keys_but_not_the_group():
    made = claims(pod("a", labels={"allow": "private", "group": "g", "host": "a.test",
                                   "port": "1", "route.api.path": "/api"}))  # fmt: skip
    default, api = made.claims

    assert (default.name, default.route.group, default.backend) == ("", "g", "a")
    assert (api.name, api.route.group, api.backend) == ("api", None, "a:api")
    assert api.route.allow == ("private",)
    assert api.matches == (Match(entrypoint="web", host="a.test", path="/api"),)


def test_a_tcp_route_does_not_inherit_what_only_http_has():
    made = claims(pod("a", labels={"host": "a.test", "port": "3000", "compress": "yes",
                                   "route.db.mode": "tcp", "route.db.entrypoint": "postgres",
                                   "route.db.port": "5432"}))  # fmt: skip

    assert ids(made) == []
    assert made.claims[1].matches == (Match(entrypoint="postgres"),)


def test_a_tcp_route_with_its_own_http_keys_is_refused():
    made = claims(pod("a", labels={"mode": "tcp", "entrypoint": "postgres", "port": "1",
                                   "host": "a.test", "health": "/x"}))  # fmt: skip

    assert ids(made) == ["PX106", "PX106"]


def test_tcp_needs_an_entrypoint_of_its_mode():
    assert ids(claims(pod("a", mode="tcp", port="1"))) == ["PX106"]
    assert ids(claims(pod("a", mode="tcp", port="1", entrypoint="web"))) == ["PX106"]
    assert ids(claims(pod("a", host="a.test", port="1", entrypoint="postgres"))) == ["PX106"]
    assert ids(claims(pod("a", host="a.test", port="1", entrypoint="nowhere"))) == ["PX106"]


def test_routes_go_to_default_entrypoints_unless_they_name_others():
    (plain,) = claims(pod("a", host="a.test", port="1")).claims
    (named,) = claims(pod("a", host="a.test", port="1", entrypoint="internal,web")).claims

    assert [m.entrypoint for m in plain.matches] == ["web"]
    assert [m.entrypoint for m in named.matches] == ["internal", "web"]


def test_presets_are_below_labels_and_unknown_ones_are_refused():
    (claim,) = claims(pod("a", host="a.test", port="1", use="internal", allow="10.0.0.1")).claims

    assert claim.route.allow == ("10.0.0.1/32",)
    assert claim.route.response_headers == (("X-Robots-Tag", "noindex"),)
    assert ids(claims(pod("a", host="a.test", port="1", use="nope"))) == ["PX106"]


def test_an_unknown_list_is_refused():
    assert ids(claims(pod("a", host="a.test", port="1", allow="@office"))) == []
    assert ids(claims(pod("a", host="a.test", port="1", allow="@ofice"))) == ["PX106"]


def test_container_labels_may_add_named_routes():
    web = member("web", labels={"route.admin.host": "admin.test"}, exposed=(9000,))

    made = claims(pod("a", host="a.test", port="80", members=(web,)))

    assert [(c.name, c.port) for c in made.claims] == [("", 80), ("admin", 9000)]


def test_labels_that_kube_play_copies_to_every_container_count_once():
    labels = {"host": "a.test", "port": "80"}
    members = (member("one", labels=labels), member("two", labels=labels))

    made = claims(pod("a", labels=labels, members=members))

    assert [c.backend for c in made.claims] == ["a"]


def test_containers_of_a_pod_without_labels_publish_themselves_by_name():
    web = member("shop_web_1", labels={"host": "shop.test"}, exposed=(80,))
    db = member("shop_db_1", exposed=(5432,))

    (claim,) = claims(pod("pod_shop", members=(db, web))).claims

    assert (claim.backend, claim.port) == ("pod_shop:shop_web_1", 80)


def test_an_image_gives_hints_but_cannot_publish():
    image = (("proxyctl.host", "bank.test"), ("proxyctl.port", "8080"),
             ("proxyctl.allow", "1.1.1.1"), ("proxyctl.health", "/up"))  # fmt: skip
    web = member("web", image_labels=image, exposed=(80, 81))

    (claim,) = claims(pod("a", host="a.test", members=(web,))).claims

    assert [m.host for m in claim.matches] == ["a.test"]
    assert (claim.port, claim.route.health, claim.route.allow) == (8080, "/up", ())
    assert claims(pod("b", members=(web,))).claims == ()


def test_a_bad_hint_of_an_image_is_told_too():
    web = member("web", image_labels=(("proxyctl.port", "http"),))

    assert ids(claims(pod("a", host="a.test", members=(web,)))) == ["PX102"]


def test_networks_are_chosen_by_label_then_podman_then_name():
    networks = (Network(name="a", ipv4="10.1.0.2"), Network(name="podman", ipv4="10.88.0.2"),
                Network(name="z", ipv6="fd00::2"))  # fmt: skip

    def address(*nets, **labels):
        (claim,) = claims(pod("x", host="a.test", port="1", networks=nets, **labels)).claims
        return [e.address for e in claim.endpoints]

    assert address(*networks) == ["10.88.0.2"]
    assert address(*networks[::2]) == ["10.1.0.2"]
    assert address(*networks, network="z") == ["fd00::2"]


def test_a_network_that_a_pod_is_not_on_is_told_and_the_route_answers_503():
    made = claims(pod("x", host="a.test", port="1", network="nope"))

    assert ids(made) == ["PX111"]
    assert [c.endpoints for c in made.claims] == [()]


def test_a_pod_on_the_hosts_network_is_on_loopback():
    host = pod("x", host="a.test", port="80", networks=(), network_mode=NetworkMode.HOST)

    (claim,) = claims(host).claims

    assert claim.endpoints == (Endpoint(address="127.0.0.1", port=80),)


def test_a_pod_without_network_is_unreachable():
    assert ids(
        claims(pod("x", host="a.test", port="80", networks=(), network_mode=NetworkMode.NONE))
    ) == ["PX111"]


def test_a_rootless_pod_is_reached_by_its_published_port():
    published = (PublishedPort(container_port=80, host_ip="0.0.0.0", host_port=8123),)
    reachable = pod("x", host="a.test", port="80", rootless=True, published=published)
    private = pod("y", host="b.test", port="80", networks=(), network_mode=NetworkMode.PRIVATE,
                  published=published)  # fmt: skip
    hidden = pod("z", host="c.test", port="80", rootless=True)

    made = claims(reachable, private, hidden)

    assert [[e.port for e in c.endpoints] for c in made.claims] == [[8123], [8123], []]
    assert ids(made) == ["PX111"]


def test_a_stopped_pod_keeps_its_route_without_an_address():
    (claim,) = claims(stopped(pod("x", host="a.test", port="80"))).claims

    assert claim.endpoints == ()
    assert not claim.running


def test_a_stopping_pod_takes_no_new_requests():
    (claim,) = claims(pod("x", host="a.test", port="80", phase=Phase.STOPPING)).claims

    assert not claim.running


def test_health_podman_follows_the_healthcheck():
    sick = (member("web", health=Health.UNHEALTHY),)

    (by_podman,) = claims(pod("x", host="a.test", port="80", health="podman", members=sick)).claims
    (by_tcp,) = claims(pod("x", host="a.test", port="80", members=sick)).claims

    assert (by_podman.healthy, by_tcp.healthy) == (False, True)


def test_a_sockets_owner_claims_only_the_hosts_that_are_its_own():
    text = SETTINGS + '[[podman.sockets]]\npath = "/x"\nname = "ann"\nhosts = ["*.ann.test"]\n'

    def outcome(**labels):
        return ids(claims(pod("x", port="1", source="ann", labels=labels), text=text))

    assert outcome(host="a.ann.test") == []
    assert outcome(host="*.ann.test") == []
    assert outcome(host="ann.test") == ["PX109"]
    assert outcome(host="a.ann.test,bank.test") == ["PX109"]
    assert outcome(host="*") == ["PX109"]
    assert outcome(host="*.test") == ["PX109"]
    assert outcome(mode="tcp", entrypoint="postgres") == ["PX109"]


def test_a_workload_of_another_socket_has_its_name_in_front():
    (claim,) = claims(pod("x", host="a.test", port="1", source="ann")).claims

    assert claim.backend == "ann::x"


def test_the_last_good_labels_stay_while_the_workload_has_bad_ones():
    before = pod("nas", host="nas.test", port="80")
    after = pod("nas", "10.88.0.9", hots="nas.test", port="80")
    good = claims(before).good

    made = claims(after, last_good=good)

    assert [m.host for c in made.claims for m in c.matches] == ["nas.test"]
    assert [e.address for c in made.claims for e in c.endpoints] == ["10.88.0.9"]
    assert made.problems[0].effect == "the route that it had before stays"
    assert made.good["pod//nas-id"].labels == before.labels


def test_200_kb_in_a_label_are_refused_and_shown_short():
    (problem,) = claims(
        pod("x", host="a.test", port="1", labels={"timeout": "9" * 200_000})
    ).problems

    assert problem.id == "PX102"
    assert len(problem.text()) < 500


def test_what_a_problem_shows_is_printable():
    made = claims(pod("x", port="1", host="a.test\nfrontend evil\x1b[31m"))

    assert all(ch.isprintable() for p in made.problems for ch in p.where)
    assert "\\n" in made.problems[0].where


def test_a_route_without_an_entrypoint_is_told_where_none_is_the_default():
    text = "[entrypoints.internal]\nbind = [':8081']\ndefault = false"

    made = translate([pod("a", host="a.test", port="80")], settings(text), {})

    assert made.claims == ()
    assert [problem.id for problem in made.problems] == ["PX106"]
    assert made.problems[0].fix == "entrypoints of mode http: internal"
