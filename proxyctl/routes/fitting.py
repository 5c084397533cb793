"""Whether good values fit together, and fit what the administrator's settings allow and name."""

from proxyctl.problems import Problem
from proxyctl.routes import mistakes
from proxyctl.routes.dialects.native import Asked, labels_of_table
from proxyctl.routes.route import Route
from proxyctl.routes.values import MAX_HEADERS, parse_names
from proxyctl.routes.workload import Workload
from proxyctl.settings import Entrypoint, Settings

HTTP_ONLY = frozenset(
    {"host", "path", "strip-prefix", "add-prefix", "host-header", "compress", "rate-limit"}
    | {"header.request", "header.response", "scheme", "health.status", "health.host"}
    | {"tls", "redirect-https", "redirect-from", "hsts"}
)
"""Keys that mean nothing to a stream of bytes; `host` does where it is the name in TLS (SNI)."""


def entrypoints_of(route: Route, settings: Settings) -> tuple[str, ...]:
    """Return the entrypoints of a route: those that it names, else those by default."""
    fitting = (n for n, e in sorted(settings.entrypoints.items()) if e.default and suits(e, route))
    return route.entrypoint or tuple(fitting)


def suits(entrypoint: Entrypoint, route: Route) -> bool:
    """Tell whether a route can be published on an entrypoint."""
    if route.mode == "tcp":
        return entrypoint.mode == "tcp"
    if entrypoint.mode != "http":
        return False
    if route.mode == "passthrough":
        return entrypoint.tls and entrypoint.passthrough is not False
    return not entrypoint.tls or route.tls != "off"


def without_presets(
    workload: Workload, asked: Asked, settings: Settings
) -> tuple[dict[str, str], list[Problem]]:
    """Return the texts by key, with the presets of `use` filled in below them."""
    texts = {**asked.hints, **asked.inherited, **asked.own}
    mode = texts.get("mode", "")
    if mode in {"tcp", "passthrough"}:
        own = asked.own
        texts = {key: v for key, v in texts.items() if key in own or not _http_only(key, mode)}
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


def _http_only(key: str, mode: str) -> bool:
    if key == "host" and mode == "passthrough":
        return False
    return key in HTTP_ONLY or key.startswith("header.")


def misfits(workload: Workload, asked: Asked, route: Route, settings: Settings) -> list[Problem]:
    """Return what does not fit, each with the label at fault."""
    problems = _entrypoint_misfits(workload, asked, route, settings)
    if route.mode != "http":
        problems += _stream_misfits(workload, asked, route)
    else:
        problems += _tls_misfits(workload, asked, route, settings)
    if route.mode != "tcp" and not route.host:
        label = asked.label("host")
        fix = f"add {label}=NAME"
        problems.append(mistakes.misfit(workload, label, "", "a route needs a host", fix))
    problems += _header_misfits(workload, asked, route)
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
    fitting = [n for n, e in sorted(settings.entrypoints.items()) if suits(e, route)]
    kind = _KINDS[route.mode] + (" and without TLS" if route.tls == "off" else "")
    fix = f"entrypoints {kind}: {', '.join(fitting) or 'none in config.toml'}"
    wrong = [name for name in route.entrypoint if name not in fitting]
    if wrong:
        why = f"there is no entrypoint {', '.join(wrong)} {kind}"
        return [mistakes.misfit(workload, label, ",".join(route.entrypoint), why, fix)]
    usual = [name for name in fitting if settings.entrypoints[name].default]
    if route.mode == "http" and not route.entrypoint and not usual:
        why = "it names no entrypoint, and none of mode http is marked default"
        return [mistakes.misfit(workload, label, "", why, fix)]
    if route.mode == "tcp" and not route.entrypoint:
        why = "a tcp route needs an entrypoint"
        return [mistakes.misfit(workload, asked.label("mode"), "tcp", why, fix)]
    if route.mode == "passthrough" and not entrypoints_of(route, settings):
        why = f"there is no entrypoint {kind} that is a default"
        return [mistakes.misfit(workload, asked.label("mode"), "passthrough", why, fix)]
    return []


def _header_misfits(workload: Workload, asked: Asked, route: Route) -> list[Problem]:
    kinds = (
        ("header.request", route.request_headers),
        ("header.response", route.response_headers),
    )
    why = f"its headers have more than {MAX_HEADERS} characters together"
    return [
        mistakes.misfit(workload, asked.label(key), f"{len(pairs)} headers", why, "set fewer")
        for key, pairs in kinds
        if sum(len(name) + len(value) for name, value in pairs) > MAX_HEADERS
    ]


_KINDS = {
    "http": "of mode http",
    "tcp": "of mode tcp",
    "passthrough": "with tls = true and without passthrough = false",
}


def _stream_misfits(workload: Workload, asked: Asked, route: Route) -> list[Problem]:
    wrong = {key: value for key, value in asked.own.items() if _http_only(key, route.mode)}
    if route.sticky == "cookie":
        wrong["sticky"] = "cookie"
    if route.health.startswith("/"):
        wrong["health"] = route.health
    why = f"a {route.mode} route has no requests, only bytes"
    return [
        mistakes.misfit(workload, asked.label(key), value, why, f"remove it, or mode={route.mode}")
        for key, value in sorted(wrong.items())
    ]


def _tls_misfits(
    workload: Workload, asked: Asked, route: Route, settings: Settings
) -> list[Problem]:
    entrypoints = (settings.entrypoints.get(name) for name in entrypoints_of(route, settings))
    wrong: list[tuple[str, str, str, str]] = []
    if not any(e.tls for e in entrypoints if e):
        every = [n for n, e in sorted(settings.entrypoints.items()) if e.tls and e.mode == "http"]
        why = "it is on no entrypoint with TLS"
        fix = f"entrypoints with TLS: {', '.join(every) or 'none in config.toml'}"
        asks = [("tls", route.tls)] * (route.tls not in {"auto", "off"})
        asks += [("redirect-https", "true")] * bool(route.redirect_https)
        asks += [("hsts", asked.own.get("hsts", ""))] * bool(route.hsts)
        wrong += [(key, value, why, fix) for key, value in asks]
    if route.redirect_from:
        value = ",".join(route.redirect_from)
        if route.host and "*" in route.host[0]:
            why = "the first host is where a redirect leads, and it is not one name"
            wrong.append(("redirect-from", value, why, "put one host name first"))
        twice = sorted(set(route.host) & set(route.redirect_from))
        if twice:
            why = f"{', '.join(twice)} is in host as well"
            wrong.append(("redirect-from", value, why, "name it in one of the two"))
    return [
        mistakes.misfit(workload, asked.label(key), value, why, fix)
        for key, value, why, fix in wrong
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
        for host in (*route.host, *route.redirect_from)
        if not any(_covers(pattern.lower(), host) for pattern in allowed)
    ]


def _covers(pattern: str, host: str) -> bool:
    if pattern in {"*", host}:
        return True
    return pattern.startswith("*.") and host.removeprefix("*").endswith(pattern[1:])
