"""Hostile and mistaken labels on real pods, through the whole house."""

import pytest
from podman_lab import Lab, LabProcess, eventually
from test_a_labelled_pod_is_served import CONFIG, WEB, served_by, status, wait_for

HOSTILE = {
    "newline": "proxyctl.host=a.test\nfrontend evil\n    bind 127.0.0.1:6666",
    "quote": 'proxyctl.host=a.test" evil "',
    "format": "proxyctl.header.response.X=%[env(PATH)]",
    "brace": "proxyctl.path=/x } evil",
    "control": "proxyctl.header.request.X=a\x1b[31mb",
    "type": "proxyctl.port=eighty",
    "range": "proxyctl.weight=257",
    "unknown": "proxyctl.hots=x.test",
    "comment": "proxyctl.balance=roundrobin # x",
    "backslash": "proxyctl.sticky.cookie=a\\b",
    "empty": "proxyctl.route..host=x.test",
    "zone": "proxyctl.host-header=[fe80::1%x\nlisten evil\n    bind 127.0.0.1:6666\n    #]",
    "zone-of-a-network": "proxyctl.allow=fe80::1%x\nlisten evil\n    bind 127.0.0.1:6666\n#",
}


@pytest.fixture
def service(lab: Lab) -> LabProcess:
    return lab.start_proxyctl(CONFIG)


def test_no_hostile_label_reaches_the_configuration_or_a_neighbour(
    lab: Lab, service: LabProcess
) -> None:
    lab.pod("good", "--label", "proxyctl.host=good.test", "--label", "proxyctl.port=8080")
    for name, label in HOSTILE.items():
        lab.podman("create", "--name", name, "--label", f"proxyctl.host={name}.test",
                   "--label", "proxyctl.port=8080", "--label", label,
                   "localhost/web", "8080")  # fmt: skip
    lab.podman("start", *HOSTILE)
    wait_for(lab, "good.test", "good")

    told = eventually(
        lambda: out if (out := lab.proxyctl("status").stdout).count('container "') > 9 else ""
    )
    config = lab.proxyctl("render").stdout

    assert "evil" not in config
    assert "env(PATH)" not in config.replace("%%[env(PATH)]", "")
    assert 6666 not in lab.listening()
    for name in HOSTILE.keys() - {"format"}:  # a format in a header's value is only text
        assert f'container "{name}"' in told, name
        assert status(lab, f"{name}.test") == 404, name
    assert lab.curl(WEB, host="format.test").headers["X"] == "%[env(PATH)]"
    assert served_by(lab, "good.test") == "good"


def test_200_kb_of_label_hurt_nobody(lab: Lab, service: LabProcess) -> None:
    lab.pod("good", "--label", "proxyctl.host=good.test", "--label", "proxyctl.port=8080")
    big = [
        word for n in range(2) for word in ("--label", f"proxyctl.route.r{n}.host={'9' * 100_000}")
    ]
    lab.podman("run", "-d", "--name", "big", *big, "localhost/web", "80")

    eventually(lambda: 'container "big"' in lab.proxyctl("status").stdout)
    wait_for(lab, "good.test", "good")


def test_near_miss_prefixes_publish_nothing_and_are_told(lab: Lab, service: LabProcess) -> None:
    lab.pod("near", "--label", "proxctl.host=near.test", "--label", "proxyctl_port=8080")

    eventually(lambda: "PX105" in lab.proxyctl("status").stdout)
    assert status(lab, "near.test") == 404


def test_the_second_claim_of_a_host_is_refused_and_told(lab: Lab, service: LabProcess) -> None:
    labels = ["--label", "proxyctl.host=x.test", "--label", "proxyctl.port=8080"]
    lab.pod("first", *labels)
    wait_for(lab, "x.test", "first")
    lab.pod("second", *labels)

    eventually(lambda: "PX204" in lab.proxyctl("status").stdout)
    assert {served_by(lab, "x.test") for _ in range(4)} == {"first"}
    lab.podman("pod", "rm", "-f", "-t", "0", "first")
    wait_for(lab, "x.test", "second")


def test_a_pod_that_haproxy_refuses_is_left_out_alone(lab: Lab, service: LabProcess) -> None:
    """Only a template of the administrator's can bring that about."""
    lab.pod("good", "--label", "proxyctl.host=good.test", "--label", "proxyctl.port=8080")
    wait_for(lab, "good.test", "good")
    template = (
        "backend {{ backend.name }} from ::http-pods\n"
        "{% for s in backend.servers %}    server {{ s.name }} {{ s.socket_address }} weight 100\n"
        "{% endfor %}"
        "{% if backend.name == 'bad' %}    bogus\n{% endif %}"
    )  # fmt: skip
    lab.write("/etc/proxyctl/templates/backend.cfg.j2", template)
    lab.pod("bad", "--label", "proxyctl.host=bad.test", "--label", "proxyctl.port=8080")
    lab.pod("new", "--label", "proxyctl.host=new.test", "--label", "proxyctl.port=8080")

    wait_for(lab, "new.test", "new")
    told = eventually(lambda: o if "PX301" in (o := lab.proxyctl("status").stdout) else "")
    assert 'pod "bad"' in told
    assert status(lab, "bad.test") == 404
    assert served_by(lab, "good.test") == "good"
