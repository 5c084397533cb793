"""One lab for the whole run, empty at the start of each test. What cannot run here has failed."""

import os
import subprocess
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from podman_lab import SCRIPT, Lab

HERE = Path(__file__).parent
HAPROXY_LOG = "/run/proxyctl/haproxy/haproxy.log"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a skipped end-to-end test where CI=true; show what the programs in the lab printed."""
    report = yield
    lab = item.funcargs.get("lab") if isinstance(item, pytest.Function) else None
    if report.failed and isinstance(lab, Lab):
        for log in sorted(lab.folder.glob("*.log")):
            report.sections.append((f"{log.name} in the lab", log.read_text(errors="replace")))
        said = lab.run(["cat", HAPROXY_LOG], check=False).stdout
        report.sections.append(("what HAProxy said", said))
    if report.skipped and HERE in item.path.parents and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and this layer may not be skipped in CI"
    return report


@pytest.fixture(scope="session")
def lab_of_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lacks = subprocess.run([SCRIPT, "missing"], check=False, capture_output=True, text=True)
    if lacks.returncode:
        pytest.fail(
            f"the end-to-end tests CANNOT RUN here: no {lacks.stdout.strip()} "
            "(run `make install` as root)",
            pytrace=False,
        )
    lab = Lab(tmp_path_factory.mktemp("lab"))
    yield lab
    lab.stop()


@pytest.fixture
def lab(lab_of_session: Lab, tmp_path: Path) -> Iterator[Lab]:
    """A real Podman without pods, in a network without anything else."""
    lab_of_session.folder = tmp_path
    yield lab_of_session
    lab_of_session.clean()
