from contestants import by_unit, known, read, titles


def test_traefik_has_lone_containers_where_pods_hide_what_happens():
    both = [read("traefik"), read("proxyctl")]

    assert by_unit(both, "replicas", pods=True) == [(True, both[1:]), (False, both[:1])]
    assert by_unit(both, "churn", pods=True) == [(True, both)]
    assert by_unit(both, "replicas", pods=False) == [(False, both)]


def test_the_table_says_whose_units_are_lone_containers():
    both = [read("traefik"), read("proxyctl")]

    assert titles(both, "new", pods=True)["traefik"].endswith(" (lone containers)")
    assert titles(both, "new", pods=True)["proxyctl"] == read("proxyctl").title
    assert titles(both, "churn", pods=True)["traefik"] == read("traefik").title


def test_every_manager_can_be_read():
    assert {"static", "proxyctl", "traefik", "shell"} <= set(known())
    for name in known():
        assert read(name).labels_for("a.test") is not None
