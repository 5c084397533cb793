"""When the files follow what was done at run time."""

from proxyctl.daemon import NEVER, _Due


def test_a_lone_change_is_followed_by_the_files_soon_whatever_they_take():
    due = _Due(resync=30.0)
    due.followed(10.0, took=1.0)

    due.happened(100.0, settled=False)

    assert due.settle == 100.3


def test_the_files_have_a_quarter_of_the_time_at_most_while_changes_come():
    due = _Due(resync=30.0)
    due.followed(10.0, took=1.0)

    due.happened(10.5, settled=False)

    assert due.settle == 13.0


def test_changes_without_end_put_the_files_off_no_longer_than_the_bound():
    quick, slow = _Due(resync=30.0), _Due(resync=30.0)
    slow.followed(0.0, took=1.0)
    for tenth in range(200):
        quick.happened(tenth / 10, settled=False)
        slow.happened(tenth / 10, settled=False)

    assert (quick.settle, quick.latest) == (3.0, 3.0)
    assert (slow.settle, slow.latest) == (10.0, 10.0)


def test_files_that_gave_way_rest_but_not_beyond_the_bound():
    due = _Due(resync=30.0)
    due.followed(0.0, took=1.0)
    due.happened(100.0, settled=False)

    due.gave_way(100.5)
    first = due.settle
    due.gave_way(109.0)

    assert (first, due.settle) == (103.5, 110.0)


def test_settled_files_are_not_due():
    due = _Due(resync=30.0)
    due.happened(1.0, settled=False)
    due.happened(2.0, settled=True)

    assert (due.settle, due.latest, due.unsettled) == (NEVER, NEVER, NEVER)
