"""What HAProxy itself says about a configuration, before anything of it is written (`-c`)."""

import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from proxyctl.haproxy import files
from proxyctl.haproxy.answers import Alert, parse_alerts
from proxyctl.haproxy.files import Layout
from proxyctl.haproxy.scratch import private_folder
from proxyctl.problems import ConfigRejected, HAProxyUnavailable
from proxyctl.state.render import CONFIG

_NO_LISTENER = 2
"""Exit status of `haproxy -c`, explained on stdout only: "Configuration file has no error but will
not start (no listener) => exit(2)." (2.6, 3.0)."""
_DEAF = "it has no error, but HAProxy would not start: nothing listens (no frontend has a `bind`)"


def check(
    texts: Mapping[str, str],
    *,
    binary: str,
    layout: Layout | None = None,
    before: Iterable[Path | str] | None = None,
    timeout: float = 30.0,
) -> None:
    """Let `haproxy -c` read *texts* in a private folder, after the files *before*.

    `layout` is where they will live: names of maps that begin with its folder are looked for in
    the private one. Addresses are literals, so that no DNS is asked. Without `before` *texts* are
    the whole configuration, and have to listen somewhere; with it, files that nobody named may.
    Raises ConfigRejected with the lines of our haproxy.cfg, HAProxyUnavailable without a binary.
    """
    folder = layout.folder if layout else None
    with private_folder(layout.scratch if layout else None) as name:
        private = Layout(name, name / "none.sock")
        here = dict(texts)
        if folder is not None:
            here[CONFIG] = here[CONFIG].replace(
                f"{folder}/{files.MAPS}/", f"{private.folder}/{files.MAPS}/"
            )
        files.write(private, here, here)
        others = [_redirected(str(other), folder, private.folder) for other in before or ()]
        result = _run(binary, [*others, str(private.config)], str(name), timeout)
        if result.returncode < 0:
            raise HAProxyUnavailable(f"{binary} -c was ended by signal {-result.returncode}")
        if result.returncode == _NO_LISTENER and "no listener" in result.stdout:
            if before is None:
                raise ConfigRejected(((None, _DEAF),))
        elif result.returncode:
            alerts = _alerts(result.stderr, str(private.config))
            raise ConfigRejected(
                tuple((line, text.replace(f"{name}/", "")) for line, text in alerts)
            )


def _redirected(config: str, folder: Path | None, private: Path) -> str:
    """Return a file to read for *config*: a copy, if it looks our maps up where they will be."""
    try:
        text = Path(config).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return config  # a folder, or for HAProxy to complain about
    maps = f"{folder}/{files.MAPS}/"
    if folder is None or maps not in text:
        return config
    copy = private / f"copy-of-{Path(config).name}"
    redirected = text.replace(maps, f"{private}/{files.MAPS}/")
    copy.write_text(redirected, encoding="utf-8", errors="surrogateescape")
    return str(copy)


def _alerts(stderr: str, file: str) -> tuple[Alert, ...]:
    last: tuple[Alert, ...] = tuple(
        (None, line.strip()) for line in stderr.splitlines()[-3:] if line.strip()
    )
    return parse_alerts(stderr, file=file) or last


def _run(
    binary: str, configs: Iterable[str], folder: str, timeout: float
) -> subprocess.CompletedProcess[str]:
    arguments = [word for config in configs for word in ("-f", config)]
    try:
        return subprocess.run(
            [binary, "-c", *arguments],
            check=False,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
        )
    except subprocess.TimeoutExpired as error:
        raise HAProxyUnavailable(f"{binary} -c took more than {timeout:g} s") from error
    except OSError as error:
        raise HAProxyUnavailable(f"{binary}: {error.strerror}") from error
