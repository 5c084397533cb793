"""Killed, restarted, unplugged: it comes back by itself, and no live route is lost meanwhile."""

import signal

import pytest
from podman_lab import Lab, LabProcess, eventually
from test_a_labelled_pod_is_served import CONFIG, served_by, status, wait_for

LABELS = ("--label", "proxyctl.host=a.test", "--label", "proxyctl.port=8080")
B = ("--label", "proxyctl.host=b.test", "--label", "proxyctl.port=8080")


@pytest.fixture
def service(lab: Lab) -> LabProcess:
    return lab.start_proxyctl(CONFIG)


def haproxy_master(lab: Lab) -> int:
    return int(lab.read("/run/proxyctl/haproxy/haproxy.pid"))


def test_haproxy_serves_on_while_proxyctl_is_killed_and_it_catches_up(
    lab: Lab, service: LabProcess
) -> None:
    lab.pod("a", *LABELS)
    wait_for(lab, "a.test", "a")
    master = haproxy_master(lab)

    service.signal(signal.SIGKILL)
    service.wait()
    lab.pod("b", *B)
    assert served_by(lab, "a.test") == "a"
    unfinished = "/run/proxyctl/proxyctl-check-unfinished"
    lab.write(f"{unfinished}/haproxy.cfg", "")
    lab.popen(["proxyctl", "run"])

    wait_for(lab, "b.test", "b")
    assert not lab.outside(unfinished).exists()
    assert served_by(lab, "a.test") == "a"
    assert haproxy_master(lab) == master


def test_sigterm_ends_at_once_and_leaves_haproxy_serving(lab: Lab, service: LabProcess) -> None:
    lab.pod("a", *LABELS)
    wait_for(lab, "a.test", "a")

    service.signal(signal.SIGTERM)

    assert service.wait(timeout=5) == 0
    assert served_by(lab, "a.test") == "a"
    assert lab.proxyctl("status").returncode == 3


@pytest.mark.parametrize("who", ["master", "worker"])
def test_haproxy_that_is_killed_comes_back_filled(lab: Lab, service: LabProcess, who: str) -> None:
    lab.pod("a", *LABELS)
    wait_for(lab, "a.test", "a")
    master = haproxy_master(lab)
    victim = str(master) if who == "master" else lab.run(["pgrep", "-P", str(master)]).stdout

    lab.run(["kill", "-9", victim.strip()])

    eventually(lambda: haproxy_master(lab) != master, OSError)
    wait_for(lab, "a.test", "a")


def test_while_podman_is_away_everything_is_served_and_after_it_what_is_new(
    lab: Lab, service: LabProcess
) -> None:
    lab.pod("a", *LABELS)
    wait_for(lab, "a.test", "a")

    lab.stop_podman_service(signal.SIGKILL)
    eventually(lambda: "PX401" in lab.proxyctl("status").stdout)
    assert served_by(lab, "a.test") == "a"
    lab.pod("b", *B)
    lab.start_podman_service()

    wait_for(lab, "b.test", "b")
    eventually(lambda: "PX401" not in lab.proxyctl("status").stdout)
    assert served_by(lab, "a.test") == "a"


def test_a_socket_that_is_missing_at_the_start_is_waited_for(lab: Lab) -> None:
    lab.stop_podman_service()
    lab.run(["rm", "-f", lab.socket_path])
    service = lab.start_proxyctl(CONFIG)
    eventually(lambda: status(lab, "a.test") == 404, OSError)
    assert service.running

    lab.start_podman_service()
    lab.pod("a", *LABELS)

    wait_for(lab, "a.test", "a")


def test_a_new_process_without_podman_keeps_what_is_served(lab: Lab, service: LabProcess) -> None:
    lab.pod("a", *LABELS)
    wait_for(lab, "a.test", "a")
    service.signal(signal.SIGKILL)
    service.wait()
    lab.run(["rm", "-f", "/run/proxyctl/memory.json"])
    lab.stop_podman_service()

    lab.popen(["proxyctl", "run"])

    eventually(lambda: "PX401" in lab.proxyctl("status").stdout)
    assert served_by(lab, "a.test") == "a"


def test_static_routes_come_and_go_with_their_file(lab: Lab, service: LabProcess) -> None:
    lab.pod("a", *LABELS)
    wait_for(lab, "a.test", "a")
    address = lab.address("a")
    file = "/etc/proxyctl/routes.d/nas.toml"

    lab.write(file, f'[nas]\nhost = "nas.test"\nservers = ["{address}:8080"]\n')
    wait_for(lab, "nas.test", "a")
    lab.write(file, "[nas\n")
    eventually(lambda: "PX402" in lab.proxyctl("status").stdout)
    assert served_by(lab, "nas.test") == "a"
    lab.run(["rm", file])
    eventually(lambda: status(lab, "nas.test") == 404, OSError)


def test_static_routes_are_seen_wherever_their_folder_comes_from(lab: Lab) -> None:
    """Nothing but the watch tells of them: the periodic look is an hour away."""
    lab.start_proxyctl(CONFIG + "[podman]\nresync = 3600\n")
    lab.pod("a", *LABELS)
    wait_for(lab, "a.test", "a")
    table = f'[nas]\nhost = "{{}}"\nservers = ["{lab.address("a")}:8080"]\n'
    folder = "/etc/proxyctl/routes.d"

    lab.write(f"{folder}/nas.toml", table.format("made-later.test"))
    wait_for(lab, "made-later.test", "a")
    lab.write("/etc/release/1/nas.toml", table.format("one.test"))
    lab.write("/etc/release/2/nas.toml", table.format("two.test"))
    lab.run(["ln", "-s", "1", "/etc/release/current"])
    lab.run(["rm", "-r", folder])
    lab.run(["ln", "-s", "/etc/release/current", folder])
    wait_for(lab, "one.test", "a")
    lab.run(["ln", "-s", "2", "/etc/release/next"])
    lab.run(["mv", "-T", "/etc/release/next", "/etc/release/current"])
    wait_for(lab, "two.test", "a")
    lab.run(["rm", "-r", "/etc/release"])


def test_sighup_reads_the_settings_again_and_bad_ones_change_nothing(
    lab: Lab, service: LabProcess
) -> None:
    lab.pod("a", *LABELS)
    wait_for(lab, "a.test", "a")

    lab.write("/etc/proxyctl/config.toml", CONFIG + "[haproxi]\n")
    service.signal(signal.SIGHUP)
    eventually(lambda: "did you mean 'haproxy'" in service.text())
    assert served_by(lab, "a.test") == "a"
    assert "PX307" in lab.proxyctl("status").stdout
    lab.write("/etc/proxyctl/config.toml", CONFIG.replace("[::1]:8080", "127.0.0.1:8082"))
    service.signal(signal.SIGHUP)
    eventually(lambda: "PX307" not in lab.proxyctl("status").stdout)

    eventually(lambda: lab.curl("http://127.0.0.1:8082", host="a.test").status == 200, OSError)


def test_while_a_reload_is_refused_pods_go_on_coming_and_going(
    lab: Lab, service: LabProcess
) -> None:
    lab.pod("a", *LABELS)
    wait_for(lab, "a.test", "a")
    taken = lab.popen(["python3", "-m", "http.server", "--bind", "127.0.0.1", "8082"])
    eventually(lambda: 8082 in lab.listening())

    lab.write("/etc/proxyctl/config.toml", CONFIG.replace("[::1]:8080", "127.0.0.1:8082"))
    service.signal(signal.SIGHUP)
    eventually(lambda: "PX304" in lab.proxyctl("status").stdout)
    lab.podman("pod", "stop", "-t", "0", "a")
    lab.podman("pod", "start", "a")
    lab.pod("b", *B)
    wait_for(lab, "b.test", "b")
    wait_for(lab, "a.test", "a")
    assert "PX304" in lab.proxyctl("status").stdout
    taken.signal(signal.SIGKILL)

    eventually(
        lambda: lab.curl("http://127.0.0.1:8082", host="b.test").status == 200, OSError, seconds=60
    )
    eventually(lambda: "PX304" not in lab.proxyctl("status").stdout)


def test_broken_templates_are_refused_and_mended_ones_taken(lab: Lab, service: LabProcess) -> None:
    lab.pod("a", *LABELS)
    wait_for(lab, "a.test", "a")
    file = "/etc/proxyctl/templates/global.cfg.j2"

    lab.write(file, "global\n    bogus\n")
    eventually(lambda: "PX302" in lab.proxyctl("status").stdout)
    lab.pod("b", *B)
    wait_for(lab, "b.test", "b")
    lab.write(file, "global\n    maxconn 123\n")

    eventually(lambda: "maxconn 123" in lab.read("/run/proxyctl/haproxy/haproxy.cfg"))
    eventually(lambda: "PX302" not in lab.proxyctl("status").stdout)
    assert served_by(lab, "a.test") == "a"


def test_two_pods_that_swap_their_addresses_are_never_taken_for_one_another(
    lab: Lab, service: LabProcess
) -> None:
    def create(name: str, ip: str) -> None:
        lab.pod(name, "--ip", ip, "--label", f"proxyctl.host={name}.test",
                "--label", "proxyctl.port=8080")  # fmt: skip

    create("a", "10.88.0.50")
    create("b", "10.88.0.51")
    wait_for(lab, "a.test", "a")
    wait_for(lab, "b.test", "b")
    lab.podman("pod", "rm", "-f", "-t", "0", "a", "b")
    create("a", "10.88.0.51")
    create("b", "10.88.0.50")

    seen = set()

    def both() -> bool:
        got = (served_by(lab, "a.test"), served_by(lab, "b.test"))
        seen.add(got)
        return got == ("a", "b")

    eventually(both)
    assert all(a in {"a", ""} and b in {"b", ""} for a, b in seen), seen


def test_a_second_proxyctl_on_the_same_haproxy_is_refused(lab: Lab, service: LabProcess) -> None:
    eventually(lambda: status(lab, "x.test") == 404, OSError)

    second = lab.proxyctl("run")

    assert second.returncode == 75
    assert "another proxyctl" in second.stderr
