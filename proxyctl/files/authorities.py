"""The CAs of clients on disk: `certs/ca/NAME.pem`, one or several certificates, no key."""

from pathlib import Path

from proxyctl.files import private
from proxyctl.problems import Problem
from proxyctl.state.pem import Unusable, certificates


class Authorities:
    """Reads the folder; what is broken stays as it was."""

    def __init__(self, folder: Path) -> None:
        """Read nothing yet."""
        self.pems: dict[str, str] = {}
        self.problems: tuple[Problem, ...] = ()
        self._folder = folder

    def read(self) -> None:
        """Read every file anew: there are few."""
        found: dict[str, str] = {}
        problems: list[Problem] = []
        for path in sorted(self._folder.glob("[!.]*.pem")):
            name = path.name.removesuffix(".pem")
            try:
                found[name] = certificates(str(path), private.read(path).data)
            except (OSError, Unusable) as error:
                if name in self.pems:
                    found[name] = self.pems[name]
                problems.append(_unusable(path, error, kept=name in self.pems))
        self.pems, self.problems = found, tuple(problems)


def _unusable(path: Path, error: OSError | Unusable, *, kept: bool) -> Problem:
    readable = isinstance(error, Unusable)
    return Problem(
        id="PX421",
        subject=f'CA "{path.name.removesuffix(".pem")}"',
        summary=error.why if isinstance(error, Unusable) else f"cannot be read: {error}",
        where=str(path),
        effect="clients of the last good one are let in" if kept else "its clients are not let in",
        fix=f"openssl x509 -in {path} -noout -text" if readable else f"ls -l {path}",
    )
