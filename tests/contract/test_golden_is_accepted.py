"""What our templates make of labels is what the real HAProxy accepts, without a warning."""

import os
import subprocess

import pytest

from proxyctl.haproxy import program
from proxyctl.state.model import Quic
from proxyctl.state.render import CONFIG, SECTIONS_MAP, is_secret
from tests.pipeline import FOLDER, GOLDEN, decided, pod
from tests.unit.test_golden import CASES, decision_of, quic_of

pytestmark = pytest.mark.contract
HAPROXY = os.environ.get("PROXYCTL_TEST_HAPROXY", "haproxy")


@pytest.mark.parametrize("case", CASES)
def test_haproxy_accepts_every_golden_configuration(case, tmp_path):
    usable = program.quic(HAPROXY).is_usable or not quic_of(case).is_usable
    rendered = decision_of(case, None if usable else Quic.NONE).rendered
    texts = {
        name: (GOLDEN / case / name.replace("/", ".")).read_text()
        for name in rendered.shown_texts
        if name != SECTIONS_MAP
    }
    if not usable:  # what this HAProxy gets instead
        texts[CONFIG] = rendered.texts[CONFIG]
        assert "quic" not in texts[CONFIG]
    texts |= {name: text for name, text in rendered.texts.items() if is_secret(name)}
    texts[SECTIONS_MAP] = "backend/x 1\n"

    assert_accepted(texts, tmp_path)


def test_haproxy_accepts_spare_backends(tmp_path):
    spares = (("http", 3), ("sticky", 2), ("tcp", 2))

    assert_accepted(decided(pod("a", host="a.test", port="1"), spares=spares).rendered.texts,
                    tmp_path)  # fmt: skip


def assert_accepted(texts, folder):
    for name in ("maps", "certs"):
        (folder / name).mkdir()
    (folder / "server-state").write_text("1\n")
    for name, text in texts.items():
        (folder / name).write_text(text.replace(FOLDER, str(folder)))
    said = subprocess.run(
        [HAPROXY, "-c", "-dW", "-f", str(folder / "haproxy.cfg")],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert said.returncode == 0, said.stderr
