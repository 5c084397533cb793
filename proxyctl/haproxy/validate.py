"""What HAProxy itself says about a configuration, before anything of it is written (`-c`)."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from proxyctl.haproxy import files
from proxyctl.haproxy.answers import Alert, parse_alerts
from proxyctl.haproxy.files import Layout
from proxyctl.haproxy.program import require_haproxy, run
from proxyctl.haproxy.scratch import private_folder
from proxyctl.problems import ConfigRejected, HAProxyUnavailable
from proxyctl.state.model import CERTS, CRT_LIST
from proxyctl.state.render import CONFIG

_NO_LISTENER = 2
"""Exit status of `haproxy -c`, explained on stdout only: "Configuration file has no error but will
not start (no listener) => exit(2)." (2.6, 3.0)."""
_DEAF = "it has no error, but HAProxy would not start: nothing listens (no frontend has a `bind`)"


def check(  # noqa: PLR0913 - where, with what, and for how long
    texts: Mapping[str, str],
    *,
    binary: str,
    layout: Layout | None = None,
    before: Iterable[Path | str] | None = None,
    timeout: float = 30.0,
    give_way: Callable[[], None] = lambda: None,
) -> None:
    """Let `haproxy -c` read *texts* in a private folder, after the files *before*.

    `layout` is where they will live: names of maps and certificates that begin with its folder
    are looked for in the private one. Addresses are literals, so that no DNS is asked. Without
    `before` *texts* are the whole configuration, and have to listen somewhere; with it, files that
    nobody named may. `give_way` is called while HAProxy reads; what it raises ends that.
    Raises ConfigRejected with the lines of our haproxy.cfg, HAProxyUnavailable without a binary,
    or with one that is no HAProxy that we know: another program may accept anything.
    """
    require_haproxy(binary)
    folder = layout.folder if layout else None
    with private_folder(layout.scratch if layout else None) as name:
        private = Layout(name, name / "none.sock")
        here = dict(texts)
        if folder is not None:
            for file in here.keys() & {CONFIG, CRT_LIST}:
                here[file] = _moved(here[file], folder, private.folder)
        files.write(private, here, here)
        others = [_redirected(str(other), folder, private.folder) for other in before or ()]
        arguments = [word for one in (*others, str(private.config)) for word in ("-f", one)]
        result = run([binary, "-c", *arguments], str(name), timeout, give_way)
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
