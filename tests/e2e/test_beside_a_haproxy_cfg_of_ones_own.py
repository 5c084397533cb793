"""Mode attach, as docs/modes.md has it: somebody else's haproxy.cfg, and ours read last."""

import re
from pathlib import Path

from podman_lab import Lab, LabProcess, eventually

LABELS = ("--label", "proxyctl.host=a.test", "--label", "proxyctl.port=8080")
FOLDER = "/run/proxyctl/haproxy"
MASTER = "/run/haproxy-master.sock"
THEIRS = """
global
    maxconn 500
defaults
    mode http
    timeout connect 1s
    timeout client 10s
    timeout server 10s
frontend theirs
    bind 127.0.0.1:8090
    http-request return status 200 content-type text/plain string theirs
"""
CONFIG = """
[haproxy]
mode = "attach"
check-files = ["/etc/proxyctl/theirs.cfg"]
{more}
[entrypoints.web]
bind = ["127.0.0.1:8080"]
"""


def start_haproxy(lab: Lab) -> LabProcess:
    files = ["-f", "/etc/proxyctl/theirs.cfg", "-f", f"{FOLDER}/haproxy.cfg"]
    return lab.popen(["haproxy", "-W", "-S", MASTER, *files])


def test_our_sections_stand_beside_theirs(lab: Lab) -> None:
    lab.write("/etc/proxyctl/theirs.cfg", THEIRS)
    lab.write(f"{FOLDER}/haproxy.cfg", "")
    haproxy = start_haproxy(lab)
    eventually(lambda: lab.curl("http://127.0.0.1:8090").status == 200, OSError)

    lab.start_proxyctl(CONFIG.format(more=""))
    lab.pod("a", *LABELS)

    eventually(lambda: lab.curl("http://127.0.0.1:8080", host="a.test").status == 200, OSError)
    assert lab.curl("http://127.0.0.1:8090").body == "theirs"
    assert "global" not in lab.read(f"{FOLDER}/haproxy.cfg").split()
    assert haproxy.running


def test_only_backends_for_a_frontend_of_theirs(lab: Lab) -> None:
    documented = re.search(
        r"```haproxy\n(frontend mine.*?)```", Path("docs/modes.md").read_text(), re.DOTALL
    )
    assert documented
    mine = documented[1].replace(":80\n", "127.0.0.1:8091\n").replace("the_rest", "rest")
    lab.write("/etc/proxyctl/theirs.cfg", f"{THEIRS}\n{mine}\nbackend rest\n")
    service = lab.start_proxyctl(CONFIG.format(more="frontends = false"))
    eventually(lambda: lab.outside(f"{FOLDER}/maps/web.http.map").exists())
    start_haproxy(lab)
    lab.pod("a", *LABELS)

    eventually(lambda: lab.curl("http://127.0.0.1:8091", host="a.test").status == 200, OSError)
    assert lab.curl("http://127.0.0.1:8091/%zz", host="a.test").status == 400
    assert 8080 not in lab.listening()
    told = lab.proxyctl("explain", "a.test")
    assert told.returncode == 0
    assert "your own frontend decides" in told.stdout
    assert "curl" not in told.stdout
    assert "nobody.test  NO ROUTE" in (nobody := lab.proxyctl("explain", "nobody.test").stdout)
    assert "404" not in nobody
    lab.podman("pod", "rm", "-f", "-t", "0", "a")
    eventually(lambda: lab.curl("http://127.0.0.1:8091", host="a.test").status == 503, OSError)
    assert service.running
