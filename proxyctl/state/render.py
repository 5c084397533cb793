"""From `Desired` to the texts of haproxy.cfg and its maps. Templates lay out, Python decides.

Besides the texts, the sections of haproxy.cfg are told apart: each has a digest of everything in
it that a running HAProxy can only learn by a reload (not its servers). The digests are written
into a map that HAProxy loads with the rest, so that what runs can be asked instead of remembered.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType

import jinja2

from proxyctl.problems import ConfigRejected
from proxyctl.recent import Recent
from proxyctl.routes.values import WILDCARD_LABELS
from proxyctl.state import http3
from proxyctl.state.desired import ACME_MAP
from proxyctl.state.digest import digest
from proxyctl.state.model import (
    CERTS,
    CRT_LIST,
    Backend,
    Certificate,
    Desired,
    Frontend,
    Global,
    Map,
)
from proxyctl.state.spares import CLAIMS_MAP, names

CONFIG = "haproxy.cfg"
SECTIONS_MAP = "maps/sections.map"
HOLD_SERVER = "::hold"
"""Name of the server that makes requests wait; no workload's name begins with a colon."""

_KINDS = "global|defaults|frontend|backend|userlist|peers"
_HEADER = re.compile(rf"({_KINDS})\b[ \t]*(\S*)")
_START = re.compile(rf"^(?=(?:{_KINDS})\b)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section of haproxy.cfg."""

    name: str
    """`backend/gitea`, `global`."""
    first: int
    """Number of its header's line, from 1."""
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """All files of a configuration, by name relative to its folder."""

    texts: Mapping[str, str] = field(repr=False)
    """Keys of certificates are among them: `shown_texts` is for everybody."""
    sections: tuple[Section, ...]

    @property
    def shown_texts(self) -> Mapping[str, str]:
        """Return the files without those that hold a key."""
        return {name: text for name, text in self.texts.items() if not is_secret(name)}

    def section_at(self, line: int) -> str:
        """Return the name of the section that a line of haproxy.cfg belongs to, "" if none."""
        names = [section.name for section in self.sections if section.first <= line]
        return names[-1] if names else ""


def is_secret(name: str) -> bool:
    """Tell whether a file of the configuration holds the key of a certificate."""
    return name.startswith(f"{CERTS}/") and name != CRT_LIST


def render(
    desired: Desired,
    templates: Mapping[str, str],
    pems: Mapping[str, str] = MappingProxyType({}),
    recent: Recent | None = None,
) -> Rendered:
    """Return the files of *desired*; `pems` are the contents of its certificates by name.

    Raises ConfigRejected where a template is broken: its name and line are in the message.
    """
    recent = recent or Recent()
    try:
        config = _config(desired, templates, recent)
    except jinja2.TemplateSyntaxError as error:
        where = f"template {error.name}:{error.lineno}"
        raise ConfigRejected(((None, f"{where}: {error.message}"),)) from error
    except Exception as error:  # a template runs whatever its author wrote
        raise ConfigRejected(((None, f"template: {_why(error)}"),)) from error
    config = re.sub(r"\n{3,}", "\n\n", config).strip("\n") + "\n"
    sections = parse_sections(config, recent)
    maps = (*desired.maps, _sections_map(sections), Map(file=CLAIMS_MAP))
    texts = {CONFIG: config, **{one.file: one.text() for one in maps}}
    if desired.certificates:
        texts[CRT_LIST] = crt_list(desired.certificates, desired.settings.folder)
        texts |= {one.file: pems[one.name] for one in desired.certificates}
    texts |= {one.file: one.pem for one in desired.authorities}
    return Rendered(texts=texts, sections=sections)


def starting(rendered: Rendered) -> Rendered:
    """Return the files to start HAProxy with: a reload will bring HTTP/3.

    A port of UDP that is taken keeps HAProxy from starting, and TCP with it. A reload fails
    instead, and says why.
    """
    lines = rendered.texts[CONFIG].splitlines(keepends=True)
    left = [line for line in lines if not http3.is_listener(line)]
    if len(left) == len(lines):
        return rendered
    config = "".join(left)
    sections = parse_sections(config)
    texts = {**rendered.texts, CONFIG: config, SECTIONS_MAP: _sections_map(sections).text()}
    return replace(rendered, texts=texts, sections=sections)


def _sections_map(sections: Iterable[Section]) -> Map:
    rows = tuple(sorted({section.name: section.digest for section in sections}.items()))
    return Map(file=SECTIONS_MAP, entries=rows)


def _why(error: Exception) -> str:
    return (
        str(error)
        if isinstance(error, jinja2.TemplateError)
        else f"{type(error).__name__}: {error}"
    )


def crt_list(certificates: Iterable[Certificate], folder: str) -> str:
    """Return the list of certificates with the names that each is served for."""
    return "".join(f"{folder}/{one.file} {filters(one.hosts)}\n" for one in certificates)


def filters(hosts: Iterable[str]) -> str:
    """Return names as SNI filters; `!*` is none: only the first of the list is served so."""
    return " ".join(hosts) or "!*"


def _config(desired: Desired, templates: Mapping[str, str], recent: Recent) -> str:
    environment = _environment(tuple(sorted(templates.items())))
    of_one = environment.get_template("backend.cfg.j2")
    settings, frontends = desired.settings, desired.frontends

    def section(backend: Backend) -> str:
        arguments = (of_one, backend, settings, frontends)
        return recent.of(("section", backend.name), arguments, _section)

    return environment.get_template("haproxy.cfg.j2").render(
        folder=settings.folder,
        settings=settings,
        frontends=frontends,
        backends=desired.backends,
        section=section,
        hold_server=HOLD_SERVER,
        sections_map=SECTIONS_MAP,
        claims_map=CLAIMS_MAP,
        acme_map=ACME_MAP,
        crt_list=CRT_LIST,
        spares=[(k, name) for k, n in settings.spares for name in names(k, n)],
    )


def _section(
    template: jinja2.Template,
    backend: Backend,
    settings: Global,
    frontends: tuple[Frontend, ...],
) -> str:
    return template.render(
        backend=backend,
        folder=settings.folder,
        settings=settings,
        frontends=frontends,
        hold_server=HOLD_SERVER,
    )


@lru_cache(maxsize=4)
def _environment(templates: tuple[tuple[str, str], ...]) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.DictLoader(dict(templates)),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - not HTML; every value is a typed word, or is quoted
    )
    environment.filters["quote"] = quote
    environment.globals["wildcard_labels"] = WILDCARD_LABELS
    return environment


def quote(text: str) -> str:
    """Return free text as one word of haproxy.cfg, exact where a log-format is expected.

    Measured for 23 nasty values on 2.6, 3.0, 3.2 and 3.4; control characters are refused before.
    """
    return "'" + text.replace("%", "%%").replace("'", "'\\''") + "'"


def parse_sections(config: str, recent: Recent | None = None) -> tuple[Section, ...]:
    """Return the sections of a configuration that was made by our templates."""
    recent = recent or Recent()
    found: list[Section] = []
    first = 1
    for text in _START.split(config):
        name, its_digest, lines = recent.of(("text", text), (text,), _parsed)
        if name:
            found.append(Section(name=name, first=first, digest=its_digest))
        first += lines
    return tuple(found)


def _parsed(text: str) -> tuple[str, str, int]:
    """Return the name of a section ("" before the first), its digest, and how long it is."""
    header = _HEADER.match(text)
    if not header:
        return "", "", text.count("\n")
    first, *lines = text.splitlines()
    telling = [first, *(line.strip() for line in lines if _needs_reload(line.strip()))]
    name = f"{header[1]}/{header[2]}" if header[2] else header[1]
    return name, digest("\n".join(telling)), text.count("\n")


def _needs_reload(line: str) -> bool:
    if not line or line.startswith("#"):
        return False
    # A workload's server can be changed at run time; names of ours begin with a colon.
    return not line.startswith("server ") or line.startswith("server ::")
