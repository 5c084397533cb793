"""The templates of haproxy.cfg: those that come with proxyctl, and an administrator's own."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

import proxyctl
from proxyctl.problems import ConfigRejected, SettingsError
from proxyctl.textfile import Unreadable, listed, read_text

SUFFIX = ".j2"


@cache
def packaged() -> Mapping[str, str]:
    """Return the templates that come with proxyctl, by name; read once, not in every cycle."""
    package = Path(proxyctl.__file__).parent
    for folder in (package / "haproxy-templates", package.parent / "haproxy-templates"):
        if folder.is_dir():
            return MappingProxyType(_read(folder))
    raise SettingsError("haproxy-templates is missing from this installation")


def overrides(folder: Path) -> dict[str, str]:
    """Return the administrator's templates; one of the same name wins over the packaged one.

    Raises ConfigRejected if one cannot be read: to do without it is not what they want.
    """
    try:
        return _read(folder)
    except Unreadable as error:
        raise ConfigRejected(((None, f"template {error}"),)) from error


def _read(folder: Path) -> dict[str, str]:
    return {file.name: read_text(file, "replace") for file in listed(folder, SUFFIX)}


def merged(own: Mapping[str, str]) -> dict[str, str]:
    """Return the packaged templates with *own* over them."""
    return {**packaged(), **own}
