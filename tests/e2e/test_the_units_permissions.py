"""Users, groups and capabilities of the units in systemd/, by hand: is each file within reach?"""

import shlex
from pathlib import Path

from podman_lab import Lab, eventually

UNIT = Path(__file__).parent.parent.parent / "systemd" / "proxyctl-haproxy.service"
PROXYCTL = shlex.split(
    "setpriv --regid haproxy --clear-groups --inh-caps -all --bounding-set -all"
)
HAPROXY = shlex.split(
    "setpriv --reuid haproxy --regid haproxy --clear-groups --no-new-privs "
    "--inh-caps -all,+net_bind_service --ambient-caps -all,+net_bind_service "
    "--bounding-set -all,+net_bind_service"
)
CONFIG = """
global
  maxconn 100
defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
frontend web
  bind 127.0.0.1:80
  http-request return status 200 content-type text/plain string {answer}
"""
ASK = """
import socket, sys
with socket.socket(socket.AF_UNIX) as master:
    master.connect("/run/proxyctl-haproxy/master.sock")
    master.sendall(sys.argv[1].encode() + b"\\n")
    master.shutdown(socket.SHUT_WR)
    print(b"".join(iter(lambda: master.recv(65536), b"")).decode())
"""


def start_command() -> list[str]:
    """Return the words of ExecStart."""
    text = UNIT.read_text().replace("\\\n", " ")
    line = next(line for line in text.splitlines() if line.startswith("ExecStart="))
    return shlex.split(line.removeprefix("ExecStart="))


def write_config(lab: Lab, answer: str) -> None:
    """Write HAProxy's file as proxyctl.service may: no capability, group haproxy, UMask=0027."""
    write = "umask 027; cat >/run/proxyctl/haproxy/haproxy.cfg"
    lab.run([*PROXYCTL, "sh", "-c", write], stdin=CONFIG.format(answer=answer))


def test_haproxy_without_root_serves_port_80_and_obeys_root_without_capabilities(lab: Lab) -> None:
    lab.run(["install", "-d", "-g", "haproxy", "-m", "750", "/run/proxyctl/haproxy"])
    lab.run(["chgrp", "haproxy", "/run/proxyctl"])
    lab.run(["chmod", "750", "/run/proxyctl"])
    own = ["install", "-d", "-o", "haproxy", "-g", "haproxy", "-m", "750"]
    lab.run([*own, "/run/proxyctl-haproxy"])
    write_config(lab, "first")

    lab.popen(["env", "--chdir=/", *HAPROXY, *start_command()])
    first = eventually(lambda: lab.curl("http://127.0.0.1/"), OSError)
    write_config(lab, "second")
    lab.run([*PROXYCTL, "python3", "-c", ASK, "reload"])
    eventually(lambda: lab.curl("http://127.0.0.1/").body == "second", OSError)
    assert first.body == "first"
    assert "worker" in lab.run([*PROXYCTL, "python3", "-c", ASK, "show proc"]).stdout


def test_root_without_capabilities_reaches_the_socket_of_podman(lab: Lab) -> None:
    lab.run(["chmod", "660", lab.socket_path])

    ping = ["curl", "-fsS", "--unix-socket", lab.socket_path, "http://d/_ping"]
    assert lab.run([*PROXYCTL, *ping]).stdout == "OK"


TLS = """
[haproxy]
spares = 4
[entrypoints.websecure]
bind = ["127.0.0.1:443"]
tls = true
"""


def test_haproxy_without_root_reads_the_keys_that_nobody_else_can(lab: Lab) -> None:
    lab.run(["install", "-d", "-g", "haproxy", "-m", "750", "/run/proxyctl"])
    own = ["install", "-d", "-o", "haproxy", "-g", "haproxy", "-m", "750"]
    lab.run([*own, "/run/proxyctl-haproxy"])
    lab.write("/etc/proxyctl/config.toml", TLS)
    service = lab.popen([*PROXYCTL, "sh", "-c", "umask 027; exec proxyctl run"])
    folder = "/run/proxyctl/haproxy"
    eventually(lambda: lab.outside(f"{folder}/haproxy.cfg").exists())

    haproxy = lab.popen(["env", "--chdir=/", *HAPROXY, *start_command()])

    asked = ["curl", "-sk", "https://127.0.0.1/"]
    eventually(lambda: "no route" in lab.run(asked, check=False).stdout)
    modes = lab.run(["sh", "-c", f"stat -c '%a %U %G' {folder}/certs {folder}/certs/*.pem"])
    assert modes.stdout.splitlines() == ["750 root haproxy", "640 root haproxy"]
    assert service.running
    assert haproxy.running
