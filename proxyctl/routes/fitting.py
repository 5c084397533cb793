"""Whether good values fit together, and fit what the administrator's settings allow and name."""

from proxyctl.problems import Problem
from proxyctl.routes import mistakes
from proxyctl.routes.dialects.native import Asked, labels_of_table
from proxyctl.routes.route import Route
from proxyctl.routes.values import parse_names
from proxyctl.routes.workload import Workload
from proxyctl.settings import Settings

HTTP_ONLY = frozenset(
    {"host", "path", "strip-prefix", "add-prefix", "host-header", "compress", "rate-limit"}
    | {"header.request", "header.response", "scheme", "health.status", "health.host"}
)
"""Keys that mean nothing to a stream of bytes."""


def without_presets(
    workload: Workload, asked: Asked, settings: Settings
) -> tuple[dict[str, str], list[Problem]]:
    """Return the texts by key, with the presets of `use` filled in below them."""
    texts = {**asked.hints, **asked.inherited, **asked.own}
    if texts.get("mode") == "tcp":
        texts = {key: v for key, v in texts.items() if key in asked.own or not _http_only(key)}
    names = texts.get("use", "")
    problems: list[Problem] = []
    for name in _preset_names(names):
        if name in settings.preset:
            texts = {**dict(labels_of_table(settings.preset[name])), **texts}
        else:
            why = f"config.toml has no preset {name}"
            fix = "presets: " + (", ".join(sorted(settings.preset)) or "none")
            problems.append(mistakes.misfit(workload, asked.label("use"), names, why, fix))
    return texts, problems


def _preset_names(text: str) -> tuple[str, ...]:
    try:
        return parse_names(text) if text else ()
    except ValueError:
        return ()  # its own mistake, told when the value is understood


def _http_only(key: str) -> bool:
    return key in HTTP_ONLY or key.startswith("header.")


def misfits(workload: Workload, asked: Asked, route: Route, settings: Settings) -> list[Problem]:
    """Return what does not fit, each with the label at fault."""
    problems = _entrypoint_misfits(workload, asked, route, settings)
    if route.mode == "tcp":
        problems += _tcp_misfits(workload, asked, route)
    elif not route.host:
        label = asked.label("host")
        fix = f"add {label}=NAME"
        problems.append(mistakes.misfit(workload, label, "", "a route needs a host", fix))
    if route.strip_prefix and not route.path:
        label = asked.label("strip-prefix")
        fix = f"add {asked.label('path')}=/PREFIX"
        problems.append(mistakes.misfit(workload, label, "true", "there is no prefix", fix))
    return (
        problems
        + _list_misfits(workload, asked, route, settings)
        + _policy(workload, route, settings)
    )


def _entrypoint_misfits(
    workload: Workload, asked: Asked, route: Route, settings: Settings
) -> list[Problem]:
    label = asked.label("entrypoint")
    fitting = [n for n, e in sorted(settings.entrypoints.items()) if e.mode == route.mode]
    fix = f"entrypoints of mode {route.mode}: {', '.join(fitting) or 'none in config.toml'}"
    wrong = [name for name in route.entrypoint if name not in fitting]
    if wrong:
        why = f"there is no entrypoint {', '.join(wrong)} of mode {route.mode}"
        return [mistakes.misfit(workload, label, ",".join(route.entrypoint), why, fix)]
    usual = [name for name in fitting if settings.entrypoints[name].default]
    if route.mode == "http" and not route.entrypoint and not usual:
        why = "it names no entrypoint, and none of mode http is marked default"
        return [mistakes.misfit(workload, label, "", why, fix)]
    if route.mode == "tcp" and not route.entrypoint:
        why = "a tcp route needs an entrypoint"
        return [mistakes.misfit(workload, asked.label("mode"), "tcp", why, fix)]
    return []


def _tcp_misfits(workload: Workload, asked: Asked, route: Route) -> list[Problem]:
    wrong = {key: value for key, value in asked.own.items() if _http_only(key)}
    if route.sticky == "cookie":
        wrong["sticky"] = "cookie"
    if route.health.startswith("/"):
        wrong["health"] = route.health
    why = "a tcp route has no requests, only bytes"
    return [
        mistakes.misfit(workload, asked.label(key), value, why, "remove it, or mode=tcp")
        for key, value in sorted(wrong.items())
    ]


def _list_misfits(
    workload: Workload, asked: Asked, route: Route, settings: Settings
) -> list[Problem]:
    found = []
    for key, sources in (("allow", route.allow), ("deny", route.deny)):
        for name in (s[1:] for s in sources if s.startswith("@")):
            if name not in settings.lists:
                why = f"config.toml has no list {name}"
                fix = "lists: " + (", ".join(sorted(settings.lists)) or "none")
                label = asked.label(key)
                found.append(mistakes.misfit(workload, label, ",".join(sources), why, fix))
    return found


def _policy(workload: Workload, route: Route, settings: Settings) -> list[Problem]:
    """Return the hosts that the owner of the workload's socket may not claim."""
    if workload.kind == "static":
        return []
    sockets = {socket.name: socket.hosts for socket in settings.podman.sockets}
    allowed = sockets.get(workload.source, ())
    if not allowed:
        return []
    if route.mode == "tcp":
        return [mistakes.not_allowed(workload, "a tcp entrypoint", allowed)]
    return [
        mistakes.not_allowed(workload, host, allowed)
        for host in route.host
        if not any(_covers(pattern.lower(), host) for pattern in allowed)
    ]


def _covers(pattern: str, host: str) -> bool:
    if pattern in {"*", host}:
        return True
    return pattern.startswith("*.") and host.removeprefix("*").endswith(pattern[1:])
