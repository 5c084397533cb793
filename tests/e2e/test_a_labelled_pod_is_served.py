"""The main job: real pods with labels, real HAProxy, real requests."""

import json

import pytest
from podman_lab import IMAGE, Lab, LabProcess, eventually

WEB = "http://127.0.0.1:8080"
CONFIG = """
[haproxy]
mode = "embedded"
[entrypoints.web]
bind = ["127.0.0.1:8080", "[::1]:8080"]
[entrypoints.postgres]
bind = ["127.0.0.1:5432"]
mode = "tcp"
"""


@pytest.fixture
def service(lab: Lab) -> LabProcess:
    return lab.start_proxyctl(CONFIG)


def status(lab: Lab, host: str, path: str = "/") -> int:
    return lab.curl(WEB + path, host=host).status


def served_by(lab: Lab, host: str, path: str = "/") -> str:
    """Return the name of the pod that answers, or "" for an answer of HAProxy's own."""
    answer = lab.curl(WEB + path, host=host)
    return str(answer.json()["pod"]) if answer.status == 200 else ""


def wait_for(lab: Lab, host: str, pod: str, path: str = "/") -> None:
    eventually(lambda: served_by(lab, host, path) == pod, OSError)


def gitea(lab: Lab, *options: str) -> None:
    labels = ["--label", "proxyctl.host=git.example.com", "--label", "proxyctl.port=3000"]
    lab.podman("pod", "create", "--name", "gitea", "--hostname", "gitea", *options, *labels)
    pod = ["--pod", "gitea"]
    lab.podman("run", "-d", "--name", "gitea-server", "--expose", "3000", *pod, IMAGE, "3000")
    lab.podman("run", "-d", "--name", "gitea-db", "--expose", "3306", *pod, IMAGE, "3306")


def test_the_scenario_that_proxyctl_is_for(lab: Lab, service: LabProcess) -> None:
    gitea(lab, "--ip", "10.88.0.2")
    wait_for(lab, "git.example.com", "gitea")
    answer = lab.curl(WEB, host="git.example.com").json()
    rendered = lab.proxyctl("render").stdout
    section = rendered.partition("\nbackend gitea ")[2].partition("\nbackend ")[0]

    assert answer["port"] == 3000
    assert answer["headers"]["x-forwarded-for"] == "127.0.0.1"
    assert answer["headers"]["x-forwarded-proto"] == "http"
    assert "mode http\n" in section
    assert "option forwardfor\n" in section
    assert "10.88.0.2:3000" in section

    lab.podman("pod", "rm", "-f", "-t", "0", "gitea")
    lab.podman("run", "-d", "--name", "in-between", IMAGE, "80")
    gitea(lab)
    moved = lab.address("gitea")
    wait_for(lab, "git.example.com", "gitea")

    assert moved != "10.88.0.2"
    assert f"{moved}:3000" in lab.proxyctl("render").stdout


def test_a_restarted_pod_is_served_under_its_new_address(lab: Lab, service: LabProcess) -> None:
    gitea(lab)
    wait_for(lab, "git.example.com", "gitea")
    before = lab.address("gitea")

    lab.podman("pod", "stop", "-t", "1", "gitea")
    lab.podman("run", "-d", "--name", "in-between", IMAGE, "80")
    lab.podman("pod", "start", "gitea")

    wait_for(lab, "git.example.com", "gitea")
    assert lab.address("gitea") != before


def test_a_removed_pod_takes_only_its_own_route_along(lab: Lab, service: LabProcess) -> None:
    lab.pod("a", "--label", "proxyctl.host=a.test", "--label", "proxyctl.port=8080")
    lab.pod("b", "--label", "proxyctl.host=b.test", "--label", "proxyctl.port=8080")
    wait_for(lab, "a.test", "a")
    wait_for(lab, "b.test", "b")

    lab.podman("pod", "rm", "-f", "-t", "0", "a")

    eventually(lambda: status(lab, "a.test") == 404, OSError)
    assert served_by(lab, "b.test") == "b"


def test_a_lone_container_is_served(lab: Lab, service: LabProcess) -> None:
    label = "proxyctl.host=who.test"
    lab.podman("run", "-d", "--name", "who", "--hostname", "who", "--label", label,
               "--label", "proxyctl.port=80", IMAGE, "80")  # fmt: skip

    wait_for(lab, "who.test", "who")


def test_the_only_exposed_port_needs_no_label(lab: Lab) -> None:
    image = lab.image("exposing", "EXPOSE 8001")
    for name, *words in (["lone", "--expose", "8000", IMAGE, "8000"], ["brought", image, "8001"]):
        label = f"proxyctl.host={name}.test"
        lab.podman("run", "-d", "--name", name, "--hostname", name, "--label", label, *words)
    lab.podman("pod", "create", "--name", "shop", "--hostname", "shop", "--label",
               "proxyctl.host=shop.test")  # fmt: skip
    lab.podman("run", "-d", "--pod", "shop", "--expose=8002", IMAGE, "8002")

    lab.start_proxyctl(CONFIG)
    for name in ("lone", "brought", "shop"):
        wait_for(lab, f"{name}.test", name)
    lab.podman("run", "-d", "--name", "late", "--hostname", "late", "--expose", "8003",
               "--label", "proxyctl.host=late.test", IMAGE, "8003")  # fmt: skip

    wait_for(lab, "late.test", "late")


def test_a_pod_of_kube_play_is_served(lab: Lab, service: LabProcess) -> None:
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "kube",
            "labels": {"proxyctl.host": "kube.test", "proxyctl.port": "8080"},
        },
        "spec": {"containers": [{"name": "web", "image": IMAGE, "args": ["8080"]}]},
    }
    lab.write("/run/kube.json", json.dumps(manifest))

    lab.podman("kube", "play", "/run/kube.json")

    eventually(lambda: status(lab, "kube.test") == 200, OSError)


def test_pods_of_one_group_share_the_requests(lab: Lab, service: LabProcess) -> None:
    group = ["--label", "proxyctl.host=shop.test", "--label", "proxyctl.port=8080",
             "--label", "proxyctl.group=shop"]  # fmt: skip
    lab.pod("one", *group)
    lab.pod("two", *group)

    eventually(lambda: {served_by(lab, "shop.test") for _ in range(6)} == {"one", "two"}, OSError)
    lab.podman("pod", "rm", "-f", "-t", "0", "one")
    eventually(lambda: {served_by(lab, "shop.test") for _ in range(6)} == {"two"})


def test_two_routes_of_one_pod_go_to_two_ports(lab: Lab, service: LabProcess) -> None:
    labels = ["route.web.host=app.test", "route.web.port=8080", "route.api.host=app.test",
              "route.api.path=/api", "route.api.port=9000",
              "route.api.strip-prefix=true"]  # fmt: skip
    lab.pod("app", *(w for text in labels for w in ("--label", f"proxyctl.{text}")),
            ports=(8080, 9000))  # fmt: skip
    wait_for(lab, "app.test", "app")
    wait_for(lab, "app.test", "app", "/api")

    api = lab.curl(f"{WEB}/api/v1?x=1", host="app.test").json()
    near = lab.curl(f"{WEB}/apix", host="app.test").json()

    assert (api["port"], api["path"]) == (9000, "/v1?x=1")
    assert api["headers"]["x-forwarded-prefix"] == "/api"
    assert (near["port"], near["path"]) == (8080, "/apix")


def test_hosts_and_paths_are_understood_as_browsers_write_them(
    lab: Lab, service: LabProcess
) -> None:
    def pod(name: str, *labels: str) -> None:
        options = [word for text in labels for word in ("--label", f"proxyctl.{text}")]
        lab.pod(name, *options, "--label", "proxyctl.port=8080")

    pod("exact", "host=a.test,[::1]")
    pod("api", "host=a.test", "path=/api")
    pod("v1", "host=a.test", "path=/api/v1")
    pod("wild", "host=*.a.test,*.test")
    for host, path, name in (("a.test", "/api/v1", "v1"), ("a.test", "/api", "api"),
                             ("a.test", "/", "exact"), ("b.test", "/", "wild")):  # fmt: skip
        wait_for(lab, host, name, path)

    cases = {
        ("A.Test", "/"): "exact",
        ("a.test:8080", "/"): "exact",
        ("a.test.", "/"): "exact",
        ("a.test.:8080", "/api/"): "api",
        ("[::1]:8080", "/"): "exact",
        ("a.test", "/api"): "api",
        ("a.test", "/apix"): "exact",
        ("a.test", "/api/v1/x"): "v1",
        ("a.test", "/api/v1x"): "api",
        ("a.test", "//api//v1"): "v1",
        ("a.test", "/%61pi/v1"): "v1",
        ("a.test", "/api/v1%2fx"): "v1",
        ("x.a.test", "/"): "wild",
        ("x.y.a.test", "/"): "wild",
        ("test", "/"): "",
    }
    assert {case: served_by(lab, *case) for case in cases} == cases
    refused = [("a.test", "/x/../y"), ("a.test", "/%2e%2e/y"), ("a.test", "/a%00"),
               ("a.test", "/api/%zz"), ("a.test", "/api/%"),
               ("b.test, a.test", "/"), ("a.test/api", "/")]  # fmt: skip
    assert [status(lab, *case) for case in refused] == [400] * len(refused)


def test_a_stopped_pod_answers_503_and_removal_404(lab: Lab, service: LabProcess) -> None:
    lab.pod("a", "--label", "proxyctl.host=a.test", "--label", "proxyctl.port=8080",
            "--label", "proxyctl.hold=off")  # fmt: skip
    wait_for(lab, "a.test", "a")

    lab.podman("pod", "stop", "-t", "0", "a")
    eventually(lambda: status(lab, "a.test") == 503, OSError)
    lab.podman("pod", "rm", "a")
    eventually(lambda: status(lab, "a.test") == 404, OSError)


def test_bytes_go_through_a_tcp_entrypoint(lab: Lab, service: LabProcess) -> None:
    lab.pod("db", "--label", "proxyctl.mode=tcp", "--label", "proxyctl.entrypoint=postgres",
            "--label", "proxyctl.port=8080")  # fmt: skip

    answer = eventually(lambda: lab.curl("http://127.0.0.1:5432/", host="x"), OSError)

    assert answer.json()["pod"] == "db"


def test_an_image_cannot_publish_itself(lab: Lab, service: LabProcess) -> None:
    image = lab.image("pushy", "LABEL proxyctl.host=bank.test", "LABEL proxyctl.port=8080")
    lab.podman("run", "-d", "--name", "pushy", image, "8080")
    lab.podman("run", "-d", "--name", "polite", "--hostname", "polite", "--label",
               "proxyctl.host=ok.test", image, "8080")  # fmt: skip

    wait_for(lab, "ok.test", "polite")
    assert status(lab, "bank.test") == 404


def test_a_client_cannot_say_where_it_comes_from(lab: Lab, service: LabProcess) -> None:
    lab.pod("a", "--label", "proxyctl.host=a.test", "--label", "proxyctl.port=8080")
    wait_for(lab, "a.test", "a")

    lies = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https", "Forwarded": "for=6.6.6.6"}
    headers = lab.curl(WEB, host="a.test", headers=lies).json()["headers"]

    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["x-forwarded-proto"] == "http"
    assert "forwarded" not in headers


def test_a_removal_is_no_trouble_and_each_step_is_told_once(lab: Lab, service: LabProcess) -> None:
    gitea(lab)
    wait_for(lab, "git.example.com", "gitea")

    lab.podman("pod", "rm", "-f", "-t", "0", "gitea")

    eventually(lambda: "- git.example.com/ route" in lab.proxyctl("events").stdout)
    steps = [line.split("  ")[-1] for line in lab.proxyctl("events").stdout.splitlines()]
    assert steps.count("- gitea/gitea server") == 1
    assert steps.count("- git.example.com/ route") == 1
    assert "PX" not in service.text()
