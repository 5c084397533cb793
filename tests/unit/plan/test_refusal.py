from dataclasses import replace

from proxyctl.plan.refusal import LONGEST, is_held_back, refused
from proxyctl.plan.steps import Plan, Reload, SetServerWeight
from proxyctl.state.model import Running

RUNNING = Running(alive=True, pid=7)
PLAN = Plan((Reload(("frontend web changed",)),), {"maps/sections.map": "frontend/web 1\n"})


def after(times, now=100.0):
    refusal = None
    for _ in range(times):
        refusal = refused(refusal, PLAN, RUNNING, "cannot bind", now)
    return refusal


def test_the_same_reload_waits_twice_as_long_each_time_up_to_a_minute():
    pauses = [after(times).until - 100.0 for times in range(1, 9)]

    assert pauses == [1, 2, 4, 8, 16, 32, LONGEST, LONGEST]
    assert after(5_000).until - 100.0 == LONGEST


def test_it_is_held_back_until_its_time():
    assert is_held_back(after(1), PLAN, RUNNING, 100.9)
    assert not is_held_back(after(1), PLAN, RUNNING, 101.0)
    assert not is_held_back(None, PLAN, RUNNING, 100.0)


def test_other_sections_and_another_process_are_another_try_at_once():
    other = replace(PLAN, texts={"maps/sections.map": "frontend/web 2\n"})

    assert not is_held_back(after(3), other, RUNNING, 100.0)
    assert not is_held_back(after(3), PLAN, replace(RUNNING, pid=8), 100.0)
    assert refused(after(3), other, RUNNING, "no", 100.0).times == 1


def test_what_no_reload_can_change_is_the_same_try():
    moved = replace(PLAN, texts={**PLAN.texts, "haproxy.cfg": "server a 10.88.0.9:80"})

    assert is_held_back(after(1), moved, RUNNING, 100.0)


def test_steps_without_a_reload_are_never_held_back():
    assert not is_held_back(after(1), Plan((SetServerWeight("a", "a", 1),)), RUNNING, 100.0)
