import json
import re
import subprocess
from pathlib import Path

import pytest

from proxyctl.cli import VERBS
from proxyctl.cli.reference import label_markdown
from proxyctl.routes.route import label_fields

ROOT = Path(__file__).parents[3]


def test_the_label_reference_in_docs_is_what_the_fields_say():
    """Mend with: proxyctl labels --markdown > docs/labels.md."""
    assert (ROOT / "docs/labels.md").read_text(encoding="utf-8") == label_markdown()


def test_every_problem_has_an_entry_in_docs_and_every_entry_a_problem():
    sources = (file.read_text(encoding="utf-8") for file in (ROOT / "proxyctl").rglob("*.py"))
    used = {number for text in sources for number in re.findall(r'"(PX\d{3})"', text)}
    text = (ROOT / "docs/problems.md").read_text(encoding="utf-8")

    explained = re.findall(r"^### (PX\d{3})$", text, re.MULTILINE)

    assert explained == sorted(used)


def test_every_verb_has_an_entry_in_docs():
    verbs = [verb for verbs in VERBS.values() for verb in verbs]
    text = (ROOT / "docs/commands.md").read_text(encoding="utf-8")

    assert [verb for verb in verbs if f"| `proxyctl {verb}" not in text] == []


def test_labels_lists_every_label(proxyctl):
    code, out, _ = proxyctl("labels")

    assert code == 0
    assert re.findall(r"^proxyctl\.([a-z.-]+)=", out, re.MULTILINE) == list(label_fields())


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("weight", ["weight"]),
        ("proxyctl.weight", ["weight"]),
        ("proxyctl.route.api.weight", ["weight"]),
        ("sticky", ["sticky", "sticky.cookie", "sticky.ttl"]),
        ("header.request.X-Name", ["header.request"]),
        ("interval", ["health.interval"]),
    ],
)
def test_a_label_is_found_however_it_is_called(proxyctl, key, found):
    _, out, _ = proxyctl("labels", key, "--json")

    assert [i["label"] for i in json.loads(out)["items"]] == [f"proxyctl.{name}" for name in found]


def test_a_misspelt_label_gets_a_suggestion(proxyctl):
    code, out, err = proxyctl("labels", "proxyctl.hots")

    assert (code, out) == (2, "")
    assert err == (
        "error: there is no label proxyctl.hots\n"
        "   fix     did you mean proxyctl.host ?      all labels: proxyctl labels\n"
    )


def test_a_default_is_told_as_a_label_would_say_it(proxyctl):
    _, out, _ = proxyctl("labels", "backup")

    assert out.splitlines()[0] == "proxyctl.backup=bool      default false"


def test_version_tells_what_is_there_and_what_is_not(proxyctl, config):
    code, out, _ = proxyctl("-c", config.path, "version")

    assert code == 0
    assert re.search(r"^proxyctl  \d+\.\d+\.\d+$", out, re.MULTILINE)
    assert "podman    does not answer\n" in out


def test_completion_prints_a_script_that_bash_reads(proxyctl):
    code, out, _ = proxyctl("completion", "bash")

    assert code == 0
    assert subprocess.run(["bash", "-n"], input=out, text=True, check=False).returncode == 0
