"""Where things are: the system's folders for root, XDG's for a try-out."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """Where things are; not a setting of the file, but of who runs us and how."""

    config: Path
    run: Path
    state: Path

    @property
    def routes(self) -> Path:
        """Return the folder of static routes."""
        return self.config / "routes.d"

    @property
    def templates(self) -> Path:
        """Return the folder of the administrator's own templates."""
        return self.config / "templates"

    @property
    def certs(self) -> Path:
        """Return the folder of the administrator's certificates."""
        return self.config / "certs"

    @property
    def acme_certs(self) -> Path:
        """Return the folder of certificates from a CA."""
        return self.state / "certs" / "acme"

    @property
    def acme_status(self) -> Path:
        """Return the file in which the engine tells how certificates from a CA stand."""
        return self.state / "acme" / "status.json"

    @property
    def challenges(self) -> Path:
        """Return the folder of tokens that a CA will ask for."""
        return self.run / "acme" / "challenges"

    @property
    def watched(self) -> tuple[Path, ...]:
        """Return the folders that others write to and that are read again at once."""
        return self.routes, self.templates, self.certs, self.acme_certs, self.challenges


def folders(
    mode: str, config: Path | None = None, environment: Mapping[str, str] = os.environ
) -> Folders:
    """Return the folders of a service: the system's for root, but XDG's for a try-out.

    Root's login shell has XDG_RUNTIME_DIR too, so that the gateway (modes own and attach) must not
    look at it: the command line and the unit would miss each other.
    """
    root = os.geteuid() == 0
    home = Path(environment.get("HOME", "/"))

    def folder(variable: str, for_root: str, for_user: Path) -> Path:
        value = environment.get(variable)
        if value and (mode == "embedded" or not root):
            return Path(value) / "proxyctl"
        return Path(for_root) if root else for_user / "proxyctl"

    runtime = Path(f"/run/user/{os.geteuid()}")
    return Folders(
        config=config.parent if config else config_folder(environment),
        run=folder("XDG_RUNTIME_DIR", "/run/proxyctl", runtime),
        state=folder("XDG_STATE_HOME", "/var/lib/proxyctl", home / ".local/state"),
    )


def config_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of config.toml: /etc/proxyctl for root, else below ~/.config."""
    if os.geteuid() == 0:
        return Path("/etc/proxyctl")
    home = Path(environment.get("HOME", "/"))
    return Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "proxyctl"
