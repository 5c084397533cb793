"""What HAProxy is, asked over one connection."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from proxyctl.haproxy import answers, certificates, protocol
from proxyctl.haproxy.files import Layout
from proxyctl.haproxy.socket import Conversation
from proxyctl.problems import HAProxyUnavailable
from proxyctl.state.model import Running, RunningServer
from proxyctl.state.render import SECTIONS_MAP


def observe(talk: Conversation, layout: Layout, on_disk: Mapping[str, str]) -> Running | None:
    """Return what HAProxy tells about itself; None if it was reloaded in between."""
    info = _info(talk)
    servers = _all_servers(talk)
    maps = {
        file: answers.parse_map(talk.ask(protocol.show_map(name)))
        for file, name in names_of_maps(talk, layout).items()
    }
    if _info(talk)["Pid"] != info["Pid"]:
        return None
    sections = dict(maps.pop(SECTIONS_MAP, ()))
    backends = (name.removeprefix("backend/") for name in sections if name.startswith("backend/"))
    return Running(
        alive=True,
        version=answers.parse_version(info.get("Version", "")),
        pid=int(info["Pid"]),
        sections=sections,
        servers={name: servers.get(name, ()) for name in sorted(backends)},
        maps=maps,
        certificates=certificates.loaded(talk, layout),
        files=on_disk,
    )


def observe_again(talk: Conversation, known: Running, backends: Collection[str]) -> Running | None:
    """Return what is known, with the servers of some backends asked for again.

    None if another process answers than that which is known.
    """
    if int(_info(talk)["Pid"]) != known.pid:
        return None
    fresh: dict[str, tuple[RunningServer, ...]] = {}
    for name in sorted(backends):
        state = answers.parse_servers_state(talk.ask(protocol.servers_of(name)))
        stat = answers.parse_stat(talk.ask(protocol.statistics_of(name)))
        fresh[name] = answers.servers(state, stat).get(name, ())
    return replace(known, servers={**known.servers, **fresh})


def with_servers_now(talk: Conversation, known: Running) -> Running:
    """Return what is known, with all servers as they are now; unchanged if another answers."""
    if int(_info(talk)["Pid"]) != known.pid:
        return known
    now = _all_servers(talk)
    return replace(known, servers={name: now.get(name, ()) for name in known.servers})


def version(talk: Conversation) -> tuple[int, int, int]:
    """Return the version of the worker that answers."""
    return answers.parse_version(_info(talk).get("Version", ""))


def names_of_maps(talk: Conversation, layout: Layout) -> dict[str, str]:
    """Return HAProxy's names of our maps by file: the paths as haproxy.cfg has them."""
    names = answers.parse_maps(talk.ask("show map"))
    return {file: name for name in names if (file := layout.file_of(name))}


def loaded_sections(talk: Conversation, layout: Layout) -> dict[str, str]:
    """Return the digests of the sections that are loaded; {} if it is not our haproxy.cfg."""
    name = names_of_maps(talk, layout).get(SECTIONS_MAP)
    return dict(answers.parse_map(talk.ask(protocol.show_map(name)))) if name else {}


def _all_servers(talk: Conversation) -> Mapping[str, tuple[RunningServer, ...]]:
    state = answers.parse_servers_state(talk.ask("show servers state"))
    stat = answers.parse_stat(talk.ask("show stat -1 4 -1"))  # any proxy, servers only
    return answers.servers(state, stat)


def _info(talk: Conversation) -> Mapping[str, str]:
    info = answers.parse_info(talk.ask("show info"))
    if not info.get("Pid", "").isdigit():
        raise HAProxyUnavailable("HAProxy's `show info` has no pid")
    return info
