"""What each version of HAProxy can do."""

import pytest

from proxyctl.plan.capabilities import capabilities_of


def test_debian_12_needs_every_work_around():
    old = capabilities_of((2, 6, 12))

    assert old.needs_server_id
    assert old.needs_pool_options
    assert old.needs_dynamic_cookie_enabled
    assert not old.reload_reports
    assert not old.wait_srv_removable


def test_a_version_that_is_not_known_is_treated_like_the_oldest():
    assert capabilities_of((0, 0, 0)) == capabilities_of((2, 6, 12))


@pytest.mark.parametrize(
    ("behaviour", "before", "since"),
    [
        ("reload_reports", (2, 6, 99), (2, 7, 0)),
        ("wait_srv_removable", (2, 9, 9), (3, 0, 0)),
        ("init_state", (3, 1, 9), (3, 2, 0)),
        ("http_pause", (3, 1, 9), (3, 2, 0)),
        ("dynamic_backends", (3, 3, 9), (3, 4, 0)),
    ],
)
def test_a_behaviour_comes_with_its_version(behaviour, before, since):
    assert not getattr(capabilities_of(before), behaviour)
    assert getattr(capabilities_of(since), behaviour)


def test_a_payload_fits_everywhere():
    assert capabilities_of((3, 4, 0)).payload_bytes == 15_000
