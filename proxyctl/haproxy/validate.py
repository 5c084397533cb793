"""What HAProxy itself says about a configuration, before anything of it is written (`-c`)."""

import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from proxyctl.haproxy import files
from proxyctl.haproxy.answers import Alert, parse_alerts
from proxyctl.problems import ConfigRejected, HAProxyUnavailable
from proxyctl.state.model import CERTS, CRT_LIST
from proxyctl.state.render import CONFIG


def check(
    texts: Mapping[str, str],
    *,
    binary: str,
    folder: Path | None = None,
    before: Iterable[Path | str] = (),
    timeout: float = 30.0,
) -> None:
    """Let `haproxy -c` read *texts* in a private folder, after the files *before*.

    `folder` is where they will live: names of maps and certificates that begin with it are looked
    for in the private folder. Addresses are literals, so that no DNS is asked.
    Raises ConfigRejected with the lines of our haproxy.cfg, HAProxyUnavailable without a binary.
    """
    with TemporaryDirectory(prefix="proxyctl-check-") as name:
        private = files.Layout(Path(name), Path(name) / "none.sock")
        here = dict(texts)
        if folder is not None:
            for file in here.keys() & {CONFIG, CRT_LIST}:
                here[file] = _moved(here[file], folder, private.folder)
        files.write(private, here, here)
        others = [_redirected(str(other), folder, private.folder) for other in before]
        result = _run(binary, [*others, str(private.config)], name, timeout)
        if result.returncode < 0:
            raise HAProxyUnavailable(f"{binary} -c was ended by signal {-result.returncode}")
        if result.returncode:
            alerts = _alerts(result.stderr, str(private.config))
            raise ConfigRejected(
                tuple((line, text.replace(f"{name}/", "")) for line, text in alerts)
            )


def _moved(text: str, folder: Path, private: Path) -> str:
    for part in (files.MAPS, CERTS):
        text = text.replace(f"{folder}/{part}/", f"{private}/{part}/")
    return text


def _redirected(config: str, folder: Path | None, private: Path) -> str:
    """Return a file to read for *config*: a copy, if it names our files where they will be."""
    try:
        text = Path(config).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return config  # a folder, or for HAProxy to complain about
    if folder is None or (redirected := _moved(text, folder, private)) == text:
        return config
    copy = private / f"copy-of-{Path(config).name}"
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
