import pytest

from proxyctl.status import troubles


@pytest.mark.parametrize("mode", ["embedded", "own", "attach"])
@pytest.mark.parametrize("own_templates", [True, False])
def test_the_fix_of_a_refused_configuration_is_never_the_verb_that_tells_it(mode, own_templates):
    problem = troubles.rejected_without_routes("x", own_templates=own_templates, mode=mode)

    assert "proxyctl check" not in problem.fix


def test_units_of_systemd_are_named_only_where_there_are_some():
    assert "systemctl" not in troubles.start_it("embedded")
    assert "systemctl" not in troubles.haproxy_unavailable("haproxy: not found").fix
