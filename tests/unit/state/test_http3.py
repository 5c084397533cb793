"""Where HTTP/3 is spoken, and what is said where it is not."""

from dataclasses import replace

import pytest

from proxyctl.plan.planner import make_plan
from proxyctl.plan.steps import Reload, Start, WriteFiles
from proxyctl.settings import Entrypoint, HAProxy, Settings
from proxyctl.state import http3
from proxyctl.state.model import Quic, Running
from proxyctl.state.render import CONFIG, SECTIONS_MAP, parse_sections, starting
from tests.pipeline import decided, pod, running

TLS = """
[haproxy]
mode = "embedded"
[entrypoints.websecure]
bind = [":443", "[::]:443", "[::1]:8443"]
tls = true
{more}
"""
A = pod("a", host="a.test", port="80")
VAULT = pod("vault", "10.88.0.9", host="vault.test", port="8200", mode="passthrough")


def made(*workloads, quic=Quic.FULL, more=""):
    return decided(*workloads, text=TLS.format(more=more), quic=quic)


def config(*workloads, **more):
    return made(*workloads, **more).rendered.texts[CONFIG]


def entrypoint(**more):
    fields = {"bind": (":443",), "tls": True, **more}
    return Entrypoint(**fields)


def test_each_address_is_listened_on_by_udp_as_well():
    (frontend,) = made(A).desired.frontends

    assert frontend.quic_binds == ("quic4@:443", "quic6@[::]:443 v6only", "quic6@[::1]:8443")
    assert frontend.alt_svc == 'h3=":443"; ma=3600'


@pytest.mark.parametrize("quic", [Quic.NONE, Quic.OFF])
def test_without_quic_nothing_of_it_is_written(quic):
    text = config(A, VAULT, quic=quic, more="http3 = true")

    assert "quic" not in text
    assert "Alt-Svc" not in text
    assert text == config(A, VAULT, quic=Quic.NONE, more="http3 = false")


def test_only_a_haproxy_that_needs_it_gets_limited_quic():
    assert "limited-quic\n" in config(A, quic=Quic.LIMITED)
    assert "limited-quic" not in config(A, quic=Quic.FULL)
    assert "limited-quic" not in config(A, quic=Quic.LIMITED, more="http3 = false")


@pytest.mark.parametrize(
    ("mode", "more", "wanted"),
    [
        ("embedded", {}, True),
        ("own", {}, True),
        ("attach", {}, False),
        ("attach", {"http3": True}, True),
        ("own", {"http3": False}, False),
        ("own", {"tls": False}, False),
        ("own", {"mode": "tcp"}, False),
        ("own", {"proxy-protocol": True}, False),
        ("own", {"proxy-protocol": ("192.0.2.0/24",)}, False),
        ("own", {"bind": (":443", "name.test:443")}, False),
        ("own", {"bind": ("*:443", "192.0.2.1:443", "[2001:db8::1]:443")}, True),
    ],
)
def test_auto_is_where_tls_ends_here_and_all_is_ours(mode, more, wanted):
    settings = Settings(haproxy=HAProxy(mode=mode))

    assert http3.is_wanted(entrypoint(**more), settings) == wanted


def test_somebody_elses_frontend_is_none_of_our_business():
    settings = Settings(
        haproxy=HAProxy(mode="attach", frontends=False),
        entrypoints={"websecure": entrypoint(http3=True)},
    )

    assert not http3.is_wanted_anywhere(settings)
    assert http3.unable(settings, made().desired.settings) == ()


def test_who_asks_for_what_haproxy_has_not_is_told_and_served():
    asked = made(A, quic=Quic.NONE, more="http3 = true")

    assert [(p.id, p.subject) for p in asked.problems] == [("PX427", 'entrypoint "websecure"')]
    assert asked.of_the_host == asked.problems
    assert [f.entrypoint for f in asked.desired.frontends] == ["websecure"]
    assert made(A, quic=Quic.NONE).problems == ()
    assert made(A, quic=Quic.OFF, more="http3 = true").problems == ()  # told by PX428


def test_behind_the_frontend_that_looks_at_names_only_quic_needs_no_word():
    before, behind = made(A, VAULT).desired.frontends
    text = config(A, VAULT)

    assert before.quic_binds == ()
    assert behind.quic_binds == made(A).desired.frontends[0].quic_binds
    assert (
        f"reject if !{{ fc_pp_unique_id -m str {behind.detour.secret} }} !{{ so_name quic }}"
        in (text)
    )


# ---- it comes by a reload --------------------------------------------------------------------


def test_haproxy_is_started_without_it_and_gets_it_by_a_reload():
    decision = made(A)

    start = make_plan(decision.desired, decision.rendered, Running(alive=False))
    begun = start.texts
    sections = {one.name: one.digest for one in parse_sections(begun[CONFIG])}
    there = replace(running(decision), sections=sections)
    there = replace(there, maps={**there.maps, SECTIONS_MAP: tuple(sorted(sections.items()))})
    then = make_plan(decision.desired, decision.rendered, there)

    assert isinstance(start.steps[-1], Start)
    assert "bind quic" not in begun[CONFIG]
    assert begun[CONFIG].count(" bind ") == 3
    rows = dict(line.split() for line in begun[SECTIONS_MAP].splitlines())
    assert rows == sections
    (reload,) = [step for step in then.steps if isinstance(step, Reload)]
    assert reload.reasons == ("frontend websecure:http changed",)
    assert then.texts == decision.rendered.texts


def test_a_haproxy_that_died_finds_files_without_it():
    decision = made(A)
    dead = replace(running(decision), alive=False)

    (written, _) = make_plan(decision.desired, decision.rendered, dead).steps

    assert written == WriteFiles((CONFIG, SECTIONS_MAP))


def test_without_http3_a_start_is_of_all_files():
    decision = made(A, quic=Quic.NONE)

    assert starting(decision.rendered) is decision.rendered


def test_blame_is_taken_from_the_line():
    text = config(A)
    lines = text.splitlines()
    quic = next(n for n, line in enumerate(lines, 1) if "bind quic4@" in line)
    tcp = next(n for n, line in enumerate(lines, 1) if "bind :443" in line)

    assert http3.blamed(text, [(None, "x"), (quic, "taken")]) == "taken"
    assert http3.blamed(text, [(tcp, "taken"), (None, "x"), (len(lines) + 1, "y")]) == ""
