"""Certificates on disk: the administrator's folder, those of a CA, and those that we make.

    certs/NAME.pem                     key, certificate and chain in one file, in any order
    certs/NAME.crt + NAME.key          and whatever else begins with NAME: one certificate
    certs/NAME/…                       a folder is one certificate (certbot, acme.sh)
    certs/ca/                          the CAs of clients: see `authorities.py`

What is broken is a problem, and the last good copy is served instead, also after a restart.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from proxyctl.files import private, selfsigned
from proxyctl.files.authorities import Authorities
from proxyctl.folders import Folders
from proxyctl.problems import Problem, Severity
from proxyctl.state.authorities import FOLDER
from proxyctl.state.certificates import (
    ACME,
    DEFAULT,
    INTERNAL,
    Kind,
    Offer,
    Stock,
    file_name,
    internal_name,
)
from proxyctl.state.pem import Pair, Unusable, pairs

_FILE = re.compile(
    r"(?P<name>[^.].*?)([.-](pem|crt|cer|cert|key|privkey|chain|fullchain|bundle|rsa|ecdsa))+"
)
_NAME = re.compile(r"(\*\.)?[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}", re.ASCII)
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,200}", re.ASCII)
_ANSWER = re.compile(r"[A-Za-z0-9_-]{1,200}\.[A-Za-z0-9_-]{1,200}", re.ASCII)
_MOST_FILES = 64
"""Files that one certificate is made of, at most."""

Signature = tuple[tuple[str, int, int, int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where certificates are, and where we keep ours."""

    folder: Path
    """The administrator's."""
    state: Path
    """Ours: `acme/` from a CA, `internal/` made by us, `good/` copies."""
    challenges: Path
    """Tokens that a CA will ask for, a file each."""

    @classmethod
    def of(cls, folders: Folders) -> "Places":
        """Return where they are for a service with these folders."""
        return cls(
            folder=folders.certs,
            state=folders.acme_certs.parent,
            challenges=folders.challenges,
        )

    @property
    def wanted(self) -> Path:
        """Return the file that tells which certificates are to be had from a CA."""
        return self.challenges.with_name("wanted.json")

    @property
    def acme(self) -> Path:
        """Return the folder of certificates from a CA."""
        return self.state / "acme"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """Files that are one certificate, as they were when they were read."""

    signature: Signature
    offers: tuple[Offer, ...]
    problems: tuple[Problem, ...]


class Keyring:
    """Reads certificates; what has not changed is not read again. Writes only if it may."""

    def __init__(self, places: Places, now: Callable[[], float], *, read_only: bool) -> None:
        self._places = places
        self._now = now
        self._read_only = read_only
        self._groups: dict[str, _Group] = {}
        self._made: dict[str, Offer] = {}
        self._authorities = Authorities(places.folder / FOLDER)
        self._kept: dict[str, Pair] = {}
        """Name -> what is known to be in its copy."""
        self.stock = Stock()
        self._problems: tuple[Problem, ...] = ()

    def read(self) -> Stock:
        """Return everything that there is now."""
        problems: list[Problem] = []
        seen: set[str] = set()
        folders: tuple[tuple[Path, Kind, str], ...] = (
            (self._places.folder, "folder", ""),
            (self._places.acme, "acme", ACME),
        )
        for folder, kind, prefix in folders:
            try:
                groups = grouped(folder)
            except OSError as error:
                problems.append(_unreadable(folder, error))
                seen |= self._recall(kind, prefix)
                continue
            for name, files in groups.items():
                key = prefix + file_name(name)
                seen.add(key)
                self._look(key, name, kind, files)
        self._forget(self._groups.keys() - seen)
        self._read_internal()
        self._authorities.read()
        self._problems = (*problems, *self._authorities.problems)
        return self._told()

    def provide(self, hosts: Iterable[str]) -> Stock:
        """Make a certificate for each host ("": the default one), and return all there are."""
        for host in hosts:
            name = internal_name(host) if host else DEFAULT
            data = selfsigned.make(host, self._now())
            self._made[name] = _internal(name, data)
            self._keep(self._internal_file(name), data, durable=False)
        return self._told()

    def _told(self) -> Stock:
        found = [self._groups[key] for key in sorted(self._groups)]
        self.stock = Stock(
            time=self._now(),
            offers=(*(o for g in found for o in g.offers), *_sorted(self._made)),
            problems=(*self._problems, *(p for group in found for p in group.problems)),
            challenges=_challenges(self._places.challenges),
            authorities=tuple(self._authorities.pems.items()),
        )
        return self.stock

    def accepted(self, names: Iterable[str]) -> None:
        """Keep copies of the certificates of these names: HAProxy can load them."""
        wanted = set(names)
        for offer in self.stock.offers:
            if offer.kind == "internal" or offer.name not in wanted:
                continue
            if self._kept.get(offer.name) != offer.pair:
                self._keep(self._good_file(offer.name), offer.pair.pem.encode("ascii"))
                self._kept[offer.name] = offer.pair

    def refused(self, name: str, why: str) -> Stock | None:
        """Go back to the copy of a certificate that HAProxy refuses, and return all there are.

        None if it is none of the folders'. The same files are not tried again.
        """
        for key, group in self._groups.items():
            refused = [offer for offer in group.offers if offer.name == name]
            if not refused:
                continue
            copies = () if refused[0].old else self._good(key, refused[0].kind, refused[0].source)
            copies = tuple(
                replace(offer, old=True) for offer in copies if offer.pair != refused[0].pair
            )
            problem = _refused(name, refused[0].source, why, kept=bool(copies))
            self._groups[key] = replace(group, offers=copies, problems=(problem,))
            return self._told()
        return None

    # ---- files of others -------------------------------------------------------------------

    def _look(self, key: str, name: str, kind: Kind, files: tuple[Path, ...]) -> None:
        signature = tuple(map(_signature, files))
        before = self._groups.get(key)
        if before and before.signature == signature:
            return
        source = str(files[0] if len(files) == 1 else _common(files))
        try:
            if not is_name(name):
                raise Unusable("has a name that it cannot have", _NAMES)
            offers, problems = _understood(key, kind, source, files)
        except (OSError, Unusable) as error:
            offers = before.offers if before and before.offers else self._good(key, kind, source)
            offers = tuple(replace(offer, old=True) for offer in offers)
            problems = (_unusable(key, source, error, kept=bool(offers)),)
        self._groups[key] = _Group(signature=signature, offers=offers, problems=problems)

    def _good(self, key: str, kind: Kind, source: str) -> tuple[Offer, ...]:
        """Return the copies of what was read last, also by another process."""
        found: dict[str, Offer] = {}
        for name in (key, *(f"{key}.{key_type}" for key_type in ("rsa", "ecdsa", "other"))):
            with suppress(OSError, Unusable):
                (pair,) = pairs({"": private.read(self._good_file(name)).data})
                found[name] = Offer(name=name, kind=kind, source=source, pair=pair)
        return tuple(found.values())

    def _recall(self, kind: Kind, prefix: str) -> set[str]:
        """Keep what was read of a folder that cannot be read now; at first, take the copies."""
        known = {key for key, g in self._groups.items() if any(o.kind == kind for o in g.offers)}
        if not known:
            with suppress(OSError):
                for path in sorted((self._places.state / "good").glob("*.pem")):
                    name = path.name.removesuffix(".pem")
                    if name.startswith(ACME) == bool(prefix):
                        copies = self._good(name, kind, f"a copy: {path}")
                        self._groups[name] = _Group(signature=(), offers=copies, problems=())
                        known.add(name)
        return known

    def _forget(self, keys: set[str]) -> None:
        """Forget what is no longer there: a certificate that was removed is not to come back."""
        for key in keys:
            for offer in self._groups.pop(key).offers:
                self._remove(self._good_file(offer.name))
                self._kept.pop(offer.name, None)

    # ---- our own ---------------------------------------------------------------------------

    def _read_internal(self) -> None:
        """Read what was made before; what expires soon is made anew when it is asked for."""
        if not self._made:
            with suppress(OSError):
                for path in sorted((self._places.state / "internal").glob("*.pem")):
                    with suppress(OSError, Unusable):
                        name = INTERNAL + path.name.removesuffix(".pem")
                        self._made[name] = _internal(name, private.read(path).data)
        soon = self._now() + selfsigned.RENEWED_BEFORE.total_seconds()
        for name in [n for n, offer in self._made.items() if offer.pair.not_after < soon]:
            del self._made[name]
            self._remove(self._internal_file(name))

    def _internal_file(self, name: str) -> Path:
        return self._places.state / "internal" / f"{name.removeprefix(INTERNAL)}.pem"

    def _good_file(self, name: str) -> Path:
        return self._places.state / "good" / f"{name}.pem"

    def _remove(self, path: Path) -> None:
        if not self._read_only:
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def _keep(self, path: Path, data: bytes, *, durable: bool = True) -> None:
        """Write a file of ours; a disk that is full costs the copy, not the traffic."""
        if self._read_only:
            return
        with suppress(OSError):
            with suppress(FileNotFoundError):
                if private.read(path).data == data:
                    return
            private.write(path, data, durable=durable)


def _internal(name: str, data: bytes) -> Offer:
    (pair,) = pairs({name: data})
    return Offer(name=name, kind="internal", source="made by proxyctl", pair=pair)


def _sorted(offers: Mapping[str, Offer]) -> tuple[Offer, ...]:
    return tuple(offer for _, offer in sorted(offers.items()))


def is_name(name: str) -> bool:
    """Tell whether a certificate of the folder can be called so."""
    return bool(_NAME.fullmatch(name))


def grouped(folder: Path) -> dict[str, tuple[Path, ...]]:
    """Return the files of each certificate by its name; {} if there is no folder.

    Raises OSError, also where a link leads to no folder: what was there may come back.
    """
    found: dict[str, list[Path]] = {}
    try:
        entries = sorted(folder.iterdir())
    except FileNotFoundError:
        if folder.is_symlink():
            raise
        return {}
    for path in entries:
        if path.name.startswith(".") or path.name == FOLDER:
            continue
        if path.is_dir():
            inside = [p for p in sorted(path.iterdir()) if _FILE.fullmatch(p.name)]
            found.setdefault(path.name, []).extend(inside)
        elif path.is_symlink() and not path.exists() and not _FILE.fullmatch(path.name):
            found.setdefault(path.name, []).append(path)  # to a folder that is not there now
        elif name := _FILE.fullmatch(path.name):
            found.setdefault(name["name"], []).append(path)
    return {name: tuple(files[:_MOST_FILES]) for name, files in sorted(found.items()) if files}


def _signature(path: Path) -> tuple[str, int, int, int, int]:
    """Return what tells that a file has changed without reading it."""
    try:
        s = path.stat()
    except OSError:
        return str(path), 0, 0, 0, 0
    return str(path), s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns


def _understood(
    key: str, kind: Kind, source: str, files: tuple[Path, ...]
) -> tuple[tuple[Offer, ...], tuple[Problem, ...]]:
    contents = {str(path): private.read(path) for path in files}
    found = pairs({name: content.data for name, content in contents.items()})
    offers = tuple(
        Offer(name=_name(key, pair, found), kind=kind, source=source, pair=pair) for pair in found
    )
    open_ = [n for n, c in contents.items() if c.for_all and b"PRIVATE KEY-----" in c.data]
    return offers, tuple(_readable_by_all(key, name) for name in open_)


def _name(key: str, pair: Pair, all_of_it: tuple[Pair, ...]) -> str:
    return key if len(all_of_it) == 1 else f"{key}.{pair.key_type}"


def _common(files: tuple[Path, ...]) -> str:
    """Return several files as one word: `/etc/proxyctl/certs/x.crt, x.key`."""
    return ", ".join((str(files[0]), *(path.name for path in files[1:])))


def _challenges(folder: Path) -> tuple[tuple[str, str], ...]:
    """Return the tokens and their answers; what does not look like one is nobody's."""
    found = []
    with suppress(OSError):
        for path in sorted(folder.iterdir()):
            if not _TOKEN.fullmatch(path.name):
                continue
            with suppress(OSError, UnicodeDecodeError):
                answer = private.read(path).data.decode("ascii").strip()
                if _ANSWER.fullmatch(answer):
                    found.append((path.name, answer))
    return tuple(found)


_NAMES = "rename it: letters, digits, '.', '-' and '_'"


def _unusable(key: str, source: str, error: OSError | Unusable, *, kept: bool) -> Problem:
    if isinstance(error, Unusable):
        why, fix = error.why, error.fix
    else:
        why = f"cannot be read: {error.strerror or error}"
        fix = "a regular file, readable for proxyctl (root): ls -l"
    return Problem(
        id="PX421",
        subject=f'certificate "{key}"',
        summary=why,
        where=source,
        effect="the last good one is served" if kept else "it is not served",
        fix=fix,
    )


def _refused(name: str, source: str, why: str, *, kept: bool) -> Problem:
    return Problem(
        id="PX425",
        subject=f'certificate "{name}"',
        summary=f"is refused by HAProxy: {why}",
        where=source,
        effect="the last good one is served" if kept else "it is not served",
        fix="ask for another one; keys of less than 2048 bits and SHA-1 are refused everywhere",
    )


def _unreadable(folder: Path, error: OSError) -> Problem:
    return Problem(
        id="PX421",
        subject=f'folder "{folder}"',
        summary=f"cannot be read: {error.strerror or error}",
        where=str(error.filename or folder),
        effect="its certificates are served as they were read last",
        fix="make it readable for proxyctl (root): ls -ld",
    )


def _readable_by_all(key: str, path: str) -> Problem:
    return Problem(
        id="PX424",
        subject=f'certificate "{key}"',
        summary="has a key that everybody on this host can read",
        where=path,
        effect="it is served; whoever copies the key can pretend to be these hosts",
        fix=f"chmod 600 {path}",
        severity=Severity.WARNING,
    )
