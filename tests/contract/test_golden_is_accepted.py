"""What our templates make of labels is what the real HAProxy accepts, without a warning."""

import os
import subprocess

import pytest

from tests.pipeline import FOLDER, GOLDEN
from tests.unit.test_golden import CASES, workload  # noqa: F401 - the cases

pytestmark = pytest.mark.contract
HAPROXY = os.environ.get("PROXYCTL_TEST_HAPROXY", "haproxy")


@pytest.mark.parametrize("case", CASES)
def test_haproxy_accepts_every_golden_configuration(case, tmp_path):
    (tmp_path / "maps").mkdir()
    (tmp_path / "server-state").write_text("1\n")
    for file in (GOLDEN / case).glob("maps.*.map"):
        (tmp_path / "maps" / file.name.removeprefix("maps.")).write_text(file.read_text())
    (tmp_path / "maps/sections.map").write_text("backend/x 1\n")
    config = (GOLDEN / case / "haproxy.cfg").read_text().replace(FOLDER, str(tmp_path))
    (tmp_path / "haproxy.cfg").write_text(config)

    said = subprocess.run(
        [HAPROXY, "-c", "-dW", "-f", str(tmp_path / "haproxy.cfg")],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert said.returncode == 0, said.stderr
