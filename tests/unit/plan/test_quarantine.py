from proxyctl.plan.quarantine import culprits, suspects
from tests.pipeline import decided, pod

UIDS = frozenset(f"pod//{n:04}" for n in range(300))


def test_one_culprit_of_many_is_found_in_few_questions():
    asked = []

    def is_good(uids):
        asked.append(uids)
        return "pod//0123" not in uids

    assert culprits(UIDS, is_good) == {"pod//0123"}
    assert len(asked) < 2 * 9 + 4


def test_several_culprits_are_found():
    bad = {"pod//0001", "pod//0150", "pod//0299"}

    assert culprits(UIDS, lambda uids: not bad & uids) == bad


def test_of_two_that_do_not_get_along_one_is_left_out():
    pair = {"pod//0001", "pod//0200"}

    assert len(culprits(UIDS, lambda uids: not pair <= uids)) == 1


def test_without_a_culprit_nobody_is_blamed():
    assert culprits(UIDS, lambda _: True) == frozenset()


def test_the_line_of_an_alert_leads_to_the_workload():
    decision = decided(pod("a", host="a.test", port="1"), pod("b", host="b.test", port="1"))
    config = decision.rendered.texts["haproxy.cfg"].splitlines()
    line = config.index("backend b from ::http-pods") + 3

    found = suspects(decision.desired, decision.rendered, [(line, "unknown keyword"), (None, "x")])

    assert found == {"pod//b-id"}


def test_an_alert_in_nobodys_section_accuses_nobody():
    decision = decided(pod("a", host="a.test", port="1"))

    assert suspects(decision.desired, decision.rendered, [(1, "x"), (5, "y")]) == frozenset()
