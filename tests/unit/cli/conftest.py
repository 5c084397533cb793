import pytest

from proxyctl.cli import main
from proxyctl.status.server import StatusServer
from tests.unit.status import sample


@pytest.fixture(autouse=True)
def _nowhere(tmp_path, monkeypatch):
    """Keep this host's settings, sockets and colours out of the tests."""
    for name in (
        "PROXYCTL_CONFIG",
        "PROXYCTL_SOCKET",
        "CONTAINER_HOST",
        "NO_COLOR",
        "FORCE_COLOR",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("TZ", "UTC")


@pytest.fixture
def proxyctl(capsys):
    """Run the command line, and return its exit code, stdout and stderr."""

    def run(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main(arguments)
        out, err = capsys.readouterr()
        return end.value.code, out, err

    return run


@pytest.fixture
def ask(proxyctl, tmp_path):
    """Run a verb against a service that shows a view, the sample if none is given."""
    servers = []

    def run(*arguments, view=None):
        path = tmp_path / f"{len(servers)}.sock"
        found = view or sample.view()
        servers.append(StatusServer(path, lambda: found, now=lambda: found.time))
        servers[-1].start()
        return proxyctl("--socket", str(path), *arguments)

    yield run
    for server in servers:
        server.stop()


@pytest.fixture
def config(tmp_path):
    """Write settings of a house without Podman, and return a way to add static routes."""
    folder = tmp_path / "etc"
    (folder / "routes.d").mkdir(parents=True)
    file = folder / "config.toml"
    file.write_text(
        '[haproxy]\nmode = "embedded"\nspares = 0\n'
        '[entrypoints.web]\nbind = ["127.0.0.1:18097"]\n'
        f'[podman]\nsockets = [{{path = "{tmp_path}/none.sock"}}]\n'
    )

    def add(text):
        (folder / "routes.d" / "static.toml").write_text(text)

    file_and_add = type("Config", (), {"path": str(file), "add": staticmethod(add)})
    return file_and_add()
