from itertools import pairwise

from proxyctl.routes.flapping import LONGEST, MANY, STEADY, WINDOW, with_start


def history(*moments):
    starts = None
    for number, moment in enumerate(moments, 1):
        starts = with_start(starts, number, moment)
    return starts


def test_a_few_starts_are_nobodys_business():
    assert not history(*range(MANY - 1)).late
    assert not history(*(moment * WINDOW / 2 for moment in range(50))).late


def test_too_many_starts_within_the_window_are_put_off():
    starts = history(*range(MANY))

    assert (starts.late, len(starts.seen)) == (1, MANY)
    assert starts.until == MANY - 1 + 1


def test_each_further_start_is_put_off_twice_as_long_up_to_a_minute():
    pauses = [
        history(*range(MANY + more)).until - history(*range(MANY + more)).seen[-1]
        for more in range(9)
    ]

    assert pauses == [1, 2, 4, 8, 16, 32, LONGEST, LONGEST, LONGEST]


def test_looking_twice_at_the_same_start_changes_nothing():
    starts = history(*range(MANY))

    assert with_start(starts, starts.last, 4.5) == starts


def test_who_stays_for_a_while_after_it_was_let_in_is_as_new():
    starts = history(*range(MANY + 3))

    assert with_start(starts, starts.last, starts.until + STEADY).late
    assert not with_start(starts, starts.last, starts.until + STEADY + 1).late
    assert not with_start(starts, 99, starts.until + STEADY + 1).late


def test_who_starts_again_before_it_was_steady_waits_longer():
    starts = history(*range(MANY))

    again = with_start(starts, 99, starts.until + STEADY - 1)

    assert again.late == starts.late + 1


def test_the_history_of_a_loop_does_not_grow_for_ever():
    starts = history(*range(1000))

    assert len(starts.seen) <= WINDOW
    assert all(a < b for a, b in pairwise(starts.seen))
