"""Spare backends: sections that are loaded beforehand, so that a new route needs no reload.

A backend that differs from a kind of spare in nothing but its name, its servers and their options
can be served by one: its servers are added at run time, and the entries of the maps lead to the
spare. Which one stands for which backend is written in a map in HAProxy (`CLAIMS_MAP`), which is
empty on disk: after a reload every backend has its own, named section.

From HAProxy 3.4 on a backend is added at run time under its own name, of the same defaults
sections; the spares are for what that cannot do.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from proxyctl.state.digest import digest
from proxyctl.state.model import Backend, Cookie, Running

CLAIMS_MAP = "maps/claims.map"
DEFAULTS = "::spare-"
"""With a kind: the defaults section of the spares of that kind."""
SHAPING_TEMPLATES = frozenset({"haproxy.cfg.j2", "backend.cfg.j2", "defaults.cfg.j2"})
"""Whoever replaces one of these, and not spares.cfg.j2 with it, does without spares."""

KINDS: Mapping[str, Backend] = {
    "http": Backend(name="", mode="http", title="", retries=20, hold=True),
    "sticky": Backend(
        name="", mode="http", title="", retries=20, hold=True, cookie=Cookie(name="PROXYCTL")
    ),
    "tcp": Backend(name="", mode="tcp", title="", retries=20, hold=True),
}
"""What the spares of each kind are; spares.cfg.j2 says the same in HAProxy's words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A row of the claims map: which spare stands for a backend, and made how."""

    spare: str
    options: str
    """Digest of the options of its servers, which HAProxy does not tell."""

    @property
    def value(self) -> str:
        """Return the row's value."""
        return f"{self.spare}|{self.options}"


def names(kind: str, count: int) -> tuple[str, ...]:
    """Return the names of the spares of a kind; a leading colon is nobody else's."""
    return tuple(f"::{kind}-{number:03}" for number in range(1, count + 1))


def kind_of(backend: Backend) -> str | None:
    """Return the kind of spare that can serve *backend*, None if only a reload can."""
    bare = replace(
        backend, name="", title="", owners=(), servers=(), server_options=(), passing=False
    )
    return next((kind for kind, spare in KINDS.items() if spare == bare), None)


def is_spare(name: str) -> bool:
    """Tell whether a backend's name is that of a spare."""
    return spare_kind(name) is not None


def _is_for_spares(defaults: str) -> bool:
    return defaults.startswith(DEFAULTS)


_SPARE_SECTIONS = {"backend": is_spare, "defaults": _is_for_spares}
"""Word of a section -> whether one of a name is there for the spares."""


def spare_kind(name: str) -> str | None:
    """Return the kind of a spare by its name, None if it is no spare's."""
    return next((kind for kind in KINDS if name.startswith(f"::{kind}-")), None)


def folded(config: str, whole: str) -> str:
    """Return haproxy.cfg with one line in the place of all spares; `whole` shows them.

    Comments above a section belong to it, so that those above the first spare go as well.
    """
    kept: list[str] = []
    above: list[str] = []
    place: int | None = None
    count = 0
    in_spare = False
    for line in config.splitlines():
        if line.startswith("#"):
            above.append(line)
            in_spare = False
            continue
        if line and not line[0].isspace():
            word, _, rest = line.partition(" ")
            name = rest.partition(" ")[0]
            in_spare = _SPARE_SECTIONS[word](name) if word in _SPARE_SECTIONS else False
            count += in_spare and word == "backend"
            if in_spare and place is None:
                place = len(kept)
        if not in_spare:
            kept += [*above, line]
        above = []
    if place is not None:
        kept.insert(place, f"# {count} spare backends: {whole}\n")
    return "\n".join([*kept, *above])


def options_digest(backend: Backend) -> str:
    """Return what tells two ways of making servers apart."""
    return digest(" ".join(backend.server_options))


def loaded_name(running: Running, backend: str) -> str:
    """Return the name under which the running process has *backend*: a spare's, or its own."""
    claims = parse_claims(running.maps.get(CLAIMS_MAP, ()))
    return claims[backend].spare if backend in claims else backend


def route_names(running: Running) -> dict[str, str]:
    """Return the backends by the names of the spares that stand for them."""
    claims = parse_claims(running.maps.get(CLAIMS_MAP, ()))
    return {claimed.spare: backend for backend, claimed in claims.items()}


def parse_claims(rows: Iterable[tuple[str, str]]) -> dict[str, Claimed]:
    """Return the claims by the name of the backend; a row that is not ours is left out."""
    found: dict[str, Claimed] = {}
    for backend, value in rows:
        spare, _, options = value.partition("|")
        if is_spare(spare):
            found[backend] = Claimed(spare=spare, options=options)
    return found
