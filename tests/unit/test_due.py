"""When the files follow what was done at run time."""

import pytest

from proxyctl.daemon import NEVER, _Due


@pytest.mark.parametrize(("took", "quiet"), [(0.1, 0.3), (1.0, 2.0)])
def test_files_that_take_long_wait_for_a_longer_quiet(took, quiet):
    due = _Due(resync=30.0)
    due.followed(took)

    due.happened(100.0, settled=False)

    assert due.settle == 100.0 + quiet


@pytest.mark.parametrize(("took", "bound"), [(0.1, 3.0), (1.0, 10.0)])
def test_changes_without_end_put_the_files_off_no_longer_than_the_bound(took, bound):
    due = _Due(resync=30.0)
    due.followed(took)

    for tenth in range(200):
        due.happened(tenth / 10, settled=False)

    assert (due.settle, due.latest) == (bound, bound)


def test_settled_files_are_not_due():
    due = _Due(resync=30.0)
    due.happened(1.0, settled=False)
    due.happened(2.0, settled=True)

    assert (due.settle, due.latest, due.unsettled) == (NEVER, NEVER, NEVER)
