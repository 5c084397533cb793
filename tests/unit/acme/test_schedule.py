from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyctl.acme.schedule import (
    Cost,
    Held,
    State,
    Window,
    allowed,
    in_order,
    judge,
    may_try,
    next_try,
    renew_at,
    wants_staging_advice,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
HELD = Held(
    serial="ab12", hosts=frozenset({"a.test"}), not_before=START, not_after=START + 90 * DAY
)
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def judged(after, **more):
    return judge(("a.test",), HELD, now=START + after, **{"failed": False, **more})


def test_what_is_missing_is_wanted_at_once():
    found = judge(("a.test",), None, now=START, failed=False)

    assert (found.state, found.due) == (State.WAITING, True)


def test_what_is_missing_after_a_failure_has_failed():
    assert judge(("a.test",), None, now=START, failed=True).state is State.FAILED


@pytest.mark.parametrize(
    ("after", "state"),
    [
        (DAY, State.VALID),
        (59 * DAY, State.VALID),
        (60 * DAY, State.RENEWING),
        (90 * DAY, State.EXPIRED),
    ],
)
def test_without_the_cas_word_it_is_renewed_after_two_thirds_of_its_life(after, state):
    found = judged(after)

    assert (found.state, found.renew_at) == (state, START + 60 * DAY)
    assert found.due is (state is not State.VALID)


def test_the_cas_word_counts_more_than_two_thirds():
    early = Window(start=START + DAY, end=START + 2 * DAY)
    late = Window(start=START + 80 * DAY, end=START + 81 * DAY)

    assert judged(3 * DAY, window=early).due
    assert not judged(70 * DAY, window=late).due


@pytest.mark.parametrize("why", ["other_ca", "revoked", "asked_for"])
def test_what_must_be_replaced_is_due_before_its_time(why):
    assert judged(DAY, **{why: True}).state is State.RENEWING


def test_other_hosts_are_due_at_once():
    assert judge(("a.test", "b.test"), HELD, now=START, failed=False).due
    assert judge(("b.test",), HELD, now=START, failed=False).due


@given(start=MOMENTS, hours=st.integers(0, 1000), serial=st.text("0123456789abcdef", min_size=1))
def test_the_moment_is_in_the_window_and_the_same_each_time(start, hours, serial):
    window = Window(start=start, end=start + timedelta(hours=hours))
    held = Held(serial=serial, hosts=frozenset(), not_before=start, not_after=window.end + DAY)

    moment = renew_at(held, window)

    assert window.start <= moment <= window.end
    assert renew_at(held, window) == moment


def test_a_window_after_the_end_is_not_waited_for():
    window = Window(start=START + 100 * DAY, end=START + 101 * DAY)

    assert renew_at(HELD, window) == HELD.not_after


@given(cost=st.sampled_from(Cost), failures=st.integers(1, 10_000), now=MOMENTS)
def test_pauses_grow_and_end(cost, failures, now):
    first, second = next_try(failures, cost, now), next_try(failures + 1, cost, now)

    assert now < first <= second <= now + DAY


def test_a_failed_validation_is_tried_less_than_five_times_an_hour():
    """Let's Encrypt allows five failed validations of a name per hour."""
    now, tries = START, 0
    while now < START + timedelta(hours=1):
        tries += 1
        now = next_try(tries, Cost.COUNTED, now)

    assert tries < 5


@given(failures=st.integers(1, 50), minutes=st.integers(-100, 60 * 24 * 30))
def test_what_the_ca_asks_for_is_the_least(failures, minutes):
    wanted = START + timedelta(minutes=minutes)
    found = next_try(failures, Cost.COUNTED, START, wanted)

    assert found >= wanted
    assert found >= next_try(failures, Cost.COUNTED, START)


def test_a_ca_that_wants_years_is_asked_again_all_the_same():
    assert next_try(1, Cost.CA, START, START + 5000 * DAY) == START + 30 * DAY


def test_a_pause_ends_also_when_the_clock_was_years_ahead():
    assert may_try(None, START)
    assert may_try(START, START)
    assert not may_try(START + DAY, START)
    assert may_try(START + 5000 * DAY, START)


def test_who_has_nothing_comes_first_and_then_who_ends_first():
    assert in_order([("c", START + DAY), ("b", START), ("a", None), ("0", START + DAY)]) == (
        "a", "b", "0", "c",
    )  # fmt: skip


def test_staging_is_advised_only_where_it_would_spare_limits():
    assert not wants_staging_advice(1, production=True)
    assert wants_staging_advice(2, production=True)
    assert not wants_staging_advice(9, production=False)


@pytest.mark.parametrize(
    ("hosts", "patterns", "answer"),
    [
        (("a.test",), (), True),
        (("a.test",), ("a.test",), True),
        (("a.test", "b.test"), ("a.test",), False),
        (("x.a.test", "*.a.test"), ("*.a.test",), True),
        (("a.test",), ("*.a.test",), False),
        (("xa.test",), ("*.a.test",), False),
    ],
)
def test_the_hosts_of_the_settings_are_names_or_all_below(hosts, patterns, answer):
    assert allowed(hosts, patterns) is answer
