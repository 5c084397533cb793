"""Certificates that come into the administrator's folder, or leave it, by hand."""

import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from proxyctl.files import private
from proxyctl.files.certificates import grouped
from proxyctl.problems import NotPermitted, ProxyctlError
from proxyctl.state.authorities import FOLDER
from proxyctl.state.certificates import file_name
from proxyctl.state.pem import Pair, Unusable, pairs


def take(
    files: Iterable[Path], folder: Path, name: str, *, now: float
) -> tuple[tuple[Path, Pair], ...]:
    """Put the certificates in *files* into the folder, one file for each type of key.

    `name` is that of the certificate, "" for its first host. Raises ProxyctlError, and writes
    nothing, if they cannot be used, or if clients would refuse them now (`now` is in seconds since
    the epoch).
    """
    try:
        found = pairs({str(path): private.read(path).data for path in files})
    except Unusable as wrong:
        raise ProxyctlError(f"not taken: it {wrong.why}\n   fix     {wrong.fix}") from wrong
    except OSError as error:
        raise ProxyctlError(
            f"{error.filename or 'the file'}: {error.strerror or error}"
        ) from error
    if any(not pair.is_valid(now) for pair in found):
        raise ProxyctlError(
            "not taken: it is not valid now\n   fix     openssl x509 -noout -dates"
        )
    name = name or file_name(found[0].names[0])
    _check_the_place(folder, name, several=len(found) > 1)
    made = []
    for pair in found:
        ending = f".{pair.key_type}.pem" if len(found) > 1 else ".pem"
        path = folder / f"{name}{ending}"
        _permitted(partial(private.write, path, pair.pem.encode("ascii")))
        made.append((path, pair))
    return tuple(made)


_WORDS_OF_TLS = frozenset({"auto", "off", "internal"})


def _check_the_place(folder: Path, name: str, *, several: bool) -> None:
    if name in _WORDS_OF_TLS:
        raise ProxyctlError(f"not taken: tls={name} means something else; give another --name")
    if name == FOLDER:
        raise ProxyctlError(f"not taken: {name} is where clients' CAs are; give another --name")
    there = {path.name for path in grouped(folder).get(name, ())}
    ours = {f"{name}.rsa.pem", f"{name}.ecdsa.pem", f"{name}.other.pem"} if several else set()
    if strange := there - (ours or {f"{name}.pem"}):
        raise ProxyctlError(
            f"{name} is in {folder} already, in other files: {', '.join(sorted(strange))}\n"
            f"   fix     proxyctl cert rm {name}      or another --name"
        )


def remove(name: str, folder: Path) -> tuple[Path, ...]:
    """Remove the files of a certificate, and return them; a link to a folder goes, not the folder.

    Raises ProxyctlError if there is none, or if it is a folder.
    """
    linked = folder / name
    if name == FOLDER and linked.is_dir():
        raise ProxyctlError(f"{linked} is where clients' CAs are, and no certificate")
    files = (linked,) if linked.is_symlink() else grouped(folder).get(name, ())
    if not files:
        known = ", ".join(grouped(folder)) or "none"
        raise ProxyctlError(f"no certificate is called {name!r} in {folder}; there are: {known}")
    if linked.is_dir() and not linked.is_symlink():
        raise ProxyctlError(f"{linked} is a folder, which may have more in it: rm -r {linked}")
    for path in files:
        _permitted(path.unlink)
    return files


def _permitted(action: Callable[[], object]) -> None:
    try:
        action()
    except PermissionError as error:
        raise NotPermitted(f"{error.filename}: not for user {os.geteuid()}: try sudo") from error
    except OSError as error:
        raise ProxyctlError(f"{error.filename}: {error.strerror}") from error
