from proxyctl.cli.layout_explain import explanation_text
from proxyctl.cli.output import Screen
from proxyctl.status.explain import explanation
from tests.pipeline import pod
from tests.unit.status import sample

HOSTILE = "3\x1b[31mX\r\n  forged  PUBLISHED"


def test_no_control_character_of_a_label_or_a_target_reaches_the_terminal():
    view = sample.view(pod("q", host="q.test", port=HOSTILE))

    for target in ("q", f"x{HOSTILE}", f"http://q.test/{HOSTILE}"):
        text = explanation_text(Screen("never"), explanation(view, target))

        assert not [ch for ch in text if not ch.isprintable() and ch != "\n"], target
        assert "\n  forged" not in text
