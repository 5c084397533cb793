"""A small house as one view: pods, a group, a stopped pod, mistakes, a static route."""

from dataclasses import replace

from proxyctl.plan.planner import make_plan
from proxyctl.plan.steps import Plan
from proxyctl.routes.workload import Kind, Network, NetworkMode, PublishedPort
from proxyctl.state.model import Running, ServerState
from proxyctl.status.view import Change, SourceState, View
from tests.pipeline import decided, member, pod, running, settings, stopped

NOW = 1_795_478_531.0  # 2026-11-24, in the small hours
WHOAMI = "docker.io/traefik/whoami:latest"


def workloads():
    gitea = pod(
        "gitea",
        "10.88.0.2",
        id="3f2a91c0d4e5aa",
        host="git.example.com",
        port="3000",
        networks=(Network(name="podman", ipv4="10.88.0.2"),),
        members=(member("gitea-db"), member("gitea-server", image="docker.io/gitea/gitea:1.24")),
        labels={"x-owner": "ann"},
    )
    shop = {"host": "shop.example.com", "group": "shop"}
    return (
        gitea,
        pod("api", "10.88.0.3", host="git.example.com", path="/api", port="9000"),
        pod("wild", "10.88.0.4", host="*.example.com", port="80"),
        pod("shop-a", "10.88.0.11", port="8080", weight="90", **shop),
        pod("shop-b", "10.88.0.12", port="8080", weight="10", **shop),
        stopped(pod("wiki", "10.88.0.5", host="wiki.example.com", port="80")),
        pod("typo", "10.88.0.6", hots="typo.example.com", port="80"),
        pod("late", "10.88.0.7", host="git.example.com", port="80", created=9),
        pod("plain", "10.88.0.8", labels={"!app": "x"}),
        pod(
            "hello",
            kind=Kind.CONTAINER,
            host="hello.example.com",
            rootless=True,
            network_mode=NetworkMode.PRIVATE,
            networks=(),
            published=(PublishedPort(container_port=80, host_ip="", host_port=8088),),
            members=(member("hello", image=WHOAMI, exposed=(80,)),),
        ),
        pod("db", "10.88.0.9", mode="tcp", entrypoint="postgres", port="5432"),
        pod(
            "nas",
            kind=Kind.STATIC,
            id="nas",
            host="nas.example.com",
            port="5000",
            servers=("192.0.2.5:5000", "192.0.2.6:5000"),
            networks=(),
            origin="/etc/proxyctl/routes.d/nas.toml",
        ),
    )


def change(number, *steps, cost="runtime", error=""):
    return Change(
        id=number,
        time=NOW - 100 + number,
        causes=("podman",),
        cost=cost,
        steps=steps,
        milliseconds=38,
        error=error,
    )


CHANGES = (
    change(1, "! reload backend gitea is new", cost="reload"),
    change(2, "~ gitea/gitea address 10.88.0.2 port 3000; ~ gitea/gitea state ready"),
    change(3, error="HAProxy refused `add server shop/shop-b`"),
)


def view(*found, now: Running | None = None, **more) -> View:
    """Return the view of *found*, else of the sample; `now` is what runs, else all of it does."""
    chosen = found or workloads()
    decision = decided(*chosen)
    there = now or running(decision)
    fields = {
        "time": NOW,
        "started": NOW - 183_900,
        "version": "0.1.0",
        "settings": settings(),
        "sources": (
            SourceState(name="podman", where="/run/podman/podman.sock", workloads=len(chosen)),
            SourceState(name="files", where="/etc/proxyctl/routes.d", workloads=1),
        ),
        "workloads": chosen,
        "claims": decision.translation.claims,
        "shares": decision.resolution.shares,
        "problems": decision.problems,
        "desired": decision.desired,
        "rendered": decision.rendered,
        "running": there,
        "plan": make_plan(decision.desired, decision.rendered, there),
        "changes": CHANGES,
        "counters": {"noop": 900, "runtime": 120, "reload": 3},
    }
    return View(**{**fields, **more})


def healthy() -> View:
    """Return a view without any problem."""
    return view(pod("gitea", host="git.example.com", port="3000"), changes=(), plan=Plan())


def with_server(seen: View, backend: str, **changed) -> View:
    """Return *seen* with other facts about the running servers of a backend."""
    servers = {
        **seen.running.servers,
        backend: tuple(replace(one, **changed) for one in seen.running.servers[backend]),
    }
    return replace(seen, running=replace(seen.running, servers=servers))


def dead() -> View:
    """Return the sample while HAProxy does not run."""
    return view(now=Running(alive=False))


MAINT = ServerState.MAINT
