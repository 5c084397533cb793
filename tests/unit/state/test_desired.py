from proxyctl.routes.workload import Kind
from tests.pipeline import SETTINGS, decided, pod


def backend(*workloads, **more):
    return decided(*workloads, **more).desired.backends[0]


def entries(*workloads, file="maps/web.http.map"):
    return dict(next(m.entries for m in decided(*workloads).desired.maps if m.file == file))


def test_keys_of_maps_end_in_a_slash_and_wildcards_begin_with_a_dot():
    a = pod("a", host="a.test,*.w.test,*,[::1]", port="1", path="/api")

    assert entries(a) == {
        "a.test/api/": "a",
        ".w.test/api/": "a",
        "*/api/": "a",
        "[::1]/api/": "a",
    }


def test_a_tcp_route_is_an_entry_for_its_entrypoint():
    pg = pod("pg", mode="tcp", entrypoint="postgres", port="5432")

    assert entries(pg, file="maps/tcp.map") == {"postgres": "pg"}


def test_requests_wait_as_long_as_hold_says():
    assert backend(pod("a", host="a.test", port="1")).retries == 20
    assert backend(pod("a", host="a.test", port="1", hold="off")).retries == 3
    assert not backend(pod("a", host="a.test", port="1", hold="off")).hold
    slow = pod("a", host="a.test", port="1", hold="8s", labels={"timeout.connect": "5s"})
    assert backend(slow).retries == 8


def test_private_and_lists_become_networks():
    made = backend(pod("a", host="a.test", port="1", allow="private,@office"))

    assert "fc00::/7" in made.allow
    assert "192.0.2.0/24" in made.allow


def test_a_checked_host_is_the_first_that_is_a_name():
    made = backend(pod("a", host="*.a.test,b.test", port="1", health="/up"))

    assert made.check
    assert (made.check.path, made.check.host) == ("/up", "b.test")


def test_a_path_is_asked_more_often_than_a_port_is_tried():
    def interval(**more):
        options = backend(pod("a", host="a.test", port="1", **more)).server_options
        return next((one for one in options if one.startswith("inter ")), "")

    assert interval() == "inter 10s"
    assert interval(health="/up") == "inter 2s"
    assert interval(labels={"health.interval": "7s"}) == "inter 7s"
    assert interval(health="off") == ""


def test_an_entrypoint_on_every_ipv6_address_leaves_ipv4_alone():
    text = SETTINGS.replace('"127.0.0.1:8080"', '":80", "[::]:80"')

    (web,) = (f for f in decided(text=text).desired.frontends if f.entrypoint == "web")

    assert web.binds == (":80", "[::]:80 v6only")


def test_without_frontends_there_are_still_maps():
    text = SETTINGS.replace('mode = "embedded"', 'mode = "attach"\nfrontends = false')
    made = decided(pod("a", host="a.test", port="1"), text=text).desired

    assert made.frontends == ()
    assert [m.file for m in made.maps if m.entries] == ["maps/web.http.map"]


def test_a_pod_may_be_called_as_an_entrypoint():
    """HAProxy 3.3 and newer takes no frontend and backend of the same name."""
    made = decided(pod("web", host="a.test", port="1")).desired

    (only,) = made.backends
    assert only.name == "web"
    assert "web" in {frontend.entrypoint for frontend in made.frontends}
    assert "web" not in {frontend.name for frontend in made.frontends}


def test_a_static_route_and_a_pod_of_one_name_are_two_backends_and_in_a_group_two_servers():
    static = pod(
        "nas", kind=Kind.STATIC, servers=("192.0.2.5:80",), labels={"host": "s.test", "port": "80"}
    )
    of_podman = pod("nas", host="p.test", port="80")

    apart = decided(static, of_podman).desired.backends
    alone = decided(static).desired.backends
    more = {"group": "g", "host": "x.test", "port": "80"}
    together = decided(
        pod("nas", kind=Kind.STATIC, servers=("192.0.2.5:80",), labels=more),
        pod("nas", labels=more),
    ).desired.backends

    assert {b.name: [s.name for s in b.servers] for b in apart} == {
        "nas": ["nas"],
        "nas:static": ["nas.1"],
    }
    assert [b.name for b in alone] == ["nas"]
    assert [(b.name, [s.name for s in b.servers]) for b in together] == [("g", ["nas", "nas.1"])]
