from dataclasses import replace

import pytest

from proxyctl.state.certificates import DEFAULT, Ask, Stock, asks, choose, wanted
from tests.fakes.keyring import NOW, FakeKeyring, offer
from tests.pipeline import decided, pod, settings

TLS = """
[entrypoints.web]
bind = [":80"]
[entrypoints.websecure]
bind = [":443"]
tls = true
"""


def ask(host, wish="auto"):
    return Ask(host=host, wish=wish, subject='pod "a"', workload="podman:a")


def served(offers, *asked):
    """Return what is served: host or wildcard -> names of certificates."""
    keyring = FakeKeyring.of(*offers)
    keyring.provide([""])
    choice = choose(asked, keyring.stock)
    hosts = [(host, one.name) for one in choice.certificates for host in one.hosts]
    return {host: [name for h, name in hosts if h == host] for host, _ in hosts}, choice


def test_a_host_has_its_own_certificate_before_a_wildcard():
    found, _ = served([offer("wild", "*.x.test"), offer("a.x.test", days=10)], ask("a.x.test"))

    assert found == {"*.x.test": ["wild"], "a.x.test": ["a.x.test"]}


def test_an_expired_one_of_its_own_gives_way_to_a_valid_wildcard():
    found, choice = served(
        [offer("wild", "*.x.test"), offer("a.x.test", days=-1)], ask("a.x.test")
    )

    assert found == {"*.x.test": ["wild"]}
    assert choice.secured == {"a.x.test"}


def test_an_expired_one_is_better_than_none():
    found, choice = served([offer("a.test", days=-1)], ask("a.test"))

    assert found == {"a.test": ["a.test"]}
    assert choice.lacking == ()
    assert choice.secured == frozenset()
    assert [p.id for p in choice.problems] == ["PX422"]


def test_of_two_alike_the_one_that_lasts_longest_is_served():
    found, choice = served([offer("one", "a.test", days=40), offer("two", "a.test", days=50)])

    assert found == {"a.test": ["two"]}
    assert "one" not in {one.name for one in choice.certificates}


def test_another_type_of_key_is_served_beside_it():
    rsa, ecdsa = offer("a.rsa", "a.test", days=40), offer("a.ecdsa", "a.test", days=50)
    rsa = replace(rsa, pair=replace(rsa.pair, key_type="rsa"))
    ecdsa = replace(ecdsa, pair=replace(ecdsa.pair, key_type="ecdsa"))

    assert served([rsa, ecdsa], ask("a.test"))[0] == {"a.test": ["a.ecdsa", "a.rsa"]}
    assert served([rsa, ecdsa], ask("b.test", "a"))[0]["b.test"] == ["a.ecdsa", "a.rsa"]


def test_a_new_host_below_a_wildcard_changes_nothing():
    wild = [offer("wild", "*.x.test")]

    before, after = served(wild), served(wild, ask("a.x.test"), ask("b.x.test"))

    assert before[1].certificates == after[1].certificates


def test_a_wildcard_does_not_reach_two_levels_down():
    _, choice = served([offer("wild", "*.x.test")], ask("a.b.x.test"), ask("x.test"))

    assert choice.lacking == ("a.b.x.test", "x.test")


def test_what_nobody_has_is_made_and_any_host_has_the_default_one():
    choice = choose([ask("a.test"), ask("*.b.test"), ask("*")], Stock(time=NOW))

    assert choice.lacking == ("", "a.test", "*.b.test")


def test_a_label_names_the_certificate_of_a_host():
    offers = [offer("a.test"), offer("other", "b.test"), offer("acme@c.test", "c.test")]
    found, choice = served(offers, ask("a.test", "other"), ask("z.c.test", "c.test"))

    assert found["a.test"] == ["other"]
    assert found["z.c.test"] == ["acme@c.test"]
    assert [p.id for p in choice.mistaken] == ["PX208", "PX208"]


def test_a_label_that_names_nobody_is_a_problem_and_the_host_is_served():
    found, choice = served([offer("a.test")], ask("a.test", "a.tset"), ask("b.test", "b"))

    assert found == {"a.test": ["a.test"]}
    assert choice.lacking == ("b.test",)
    assert [p.id for p in choice.mistaken] == ["PX207", "PX207"]
    assert choice.mistaken[0].fix.startswith("did you mean a.test ?")


def test_internal_is_made_although_there_is_another():
    keyring = FakeKeyring.of(offer("a.test"))
    keyring.provide(["", "a.test"])

    found = choose([ask("a.test", "internal")], keyring.stock)

    assert [(c.name, c.hosts) for c in found.certificates] == [
        (DEFAULT, ()),
        ("internal@a.test", ("a.test",)),
    ]
    assert found.secured == {"a.test"}


@pytest.mark.parametrize(
    ("days", "ids"), [(31, []), (30, ["30"]), (8, ["30"]), (7, ["7"]), (0, ["expired"])]
)
def test_ageing_is_told_at_30_and_at_7_days(days, ids):
    one = offer("a.test", days=days)
    one = replace(one, pair=replace(one.pair, not_before=NOW - 300 * 86_400))

    _, choice = served([one])

    assert [i for i in ("expired", "30", "7") if i in str(choice.problems)] == ids


def test_a_short_life_is_told_later():
    week = offer("a.test", days=5)
    week = replace(week, pair=replace(week.pair, not_before=NOW - 86_400))

    assert served([week])[1].problems == ()


def test_only_entrypoints_with_tls_ask():
    shares = decided(
        pod("a", host="a.test,b.test", port="80"),
        pod("c", host="c.test", port="80", entrypoint="web"),
        text=TLS,
    ).resolution.shares

    assert [one.host for one in asks(shares, settings(TLS))] == ["a.test", "b.test"]


def test_what_the_folder_has_is_not_wanted_from_a_ca():
    shares = decided(
        pod("a", host="a.test,www.a.test", port="80"),
        pod("b", host="b.test,x.b.test", port="80"),
        pod("old", host="old.test,*", port="80"),
        text=TLS,
    ).resolution.shares
    stock = Stock(
        time=NOW,
        offers=(
            offer("b.test"),
            offer("old.test", days=-1),
            offer("acme@a.test", "a.test", kind="acme"),
        ),
    )

    assert [(w.name, w.hosts, w.route) for w in wanted(shares, settings(TLS), stock)] == [
        ("a.test", ("a.test", "www.a.test"), 'pod "a"'),
        ("old.test", ("old.test",), 'pod "old"'),
        ("x.b.test", ("x.b.test",), 'pod "b"'),
    ]


def test_wildcards_are_wanted_apart_since_not_everybody_can_prove_them():
    one = pod("a", host="a.test,*.a.test", port="80", **{"redirect-from": "www.a.test"})
    shares = decided(one, text=TLS).resolution.shares

    assert [(w.name, w.hosts) for w in wanted(shares, settings(TLS), Stock(time=NOW))] == [
        ("*.a.test", ("*.a.test",)),
        ("a.test", ("a.test", "www.a.test")),
    ]


def test_names_that_another_path_of_a_host_brings_are_wanted_too():
    pods = (
        pod("a", host="a.test", port="80"),
        pod("b", host="a.test,b.test", path="/x", port="80"),
    )
    shares = decided(*pods, text=TLS).resolution.shares

    assert [w.hosts for w in wanted(shares, settings(TLS), Stock(time=NOW))] == [
        ("a.test", "b.test")
    ]


def test_keys_are_in_no_repr():
    decision = decided(
        pod("a", host="a.test", port="80"), text=TLS, keyring=FakeKeyring.of(offer("a.test"))
    )

    assert any("PRIVATE KEY" in text for text in decision.rendered.texts.values())
    assert "PRIVATE KEY" not in repr(decision) + repr(offer("a.test"))
    assert not any("PRIVATE" in text for text in decision.rendered.shown_texts.values())


def test_a_host_that_is_an_address_needs_no_certificate_and_costs_nobody_else_theirs():
    six = pod("six", host="[::1],192.0.2.7", port="80", **{"redirect-from": "[::2]"})
    made = decided(six, pod("a", host="a.test", port="80"), text=TLS)

    served = {host for one in made.desired.certificates for host in one.hosts}
    assert served == {"a.test"}
    assert made.problems == ()
    rows = dict(next(m.entries for m in made.desired.maps if "websecure" in m.file))
    assert rows["[::1]/"] == rows["192.0.2.7/"] == "six"
    assert wanted(made.resolution.shares, settings(TLS), Stock(time=NOW))[0].hosts == ("a.test",)


def test_one_that_is_not_valid_yet_gives_way_and_brings_no_redirect():
    late = replace(offer("v.x.test"), pair=replace(offer("v.x.test").pair, not_before=NOW + 60))

    found, choice = served([late, offer("wild", "*.x.test", days=10)], ask("v.x.test"))
    _, alone = served([late], ask("v.x.test"))

    assert found["*.x.test"] == ["wild"]
    assert "v.x.test" not in found
    assert choice.secured == {"v.x.test"}
    assert alone.secured == frozenset()
    assert [(p.id, str(p.severity)) for p in alone.problems] == [("PX429", "error")]


def test_a_certificate_by_name_brings_the_redirect_only_if_it_is_there():
    _, there = served([offer("mine", "a.test", days=-1)], ask("a.test", "mine"))
    _, misspelt = served([offer("mine", "b.test")], ask("a.test", "mien"))

    assert there.secured == {"a.test"}
    assert misspelt.secured == frozenset()


def test_a_host_that_no_ca_issues_for_costs_the_others_nothing():
    route = pod("a", host="a_b.test,localhost,good.test", port="80")
    made = decided(route, text=TLS)

    (one,) = wanted(made.resolution.shares, settings(TLS), Stock(time=NOW))
    assert (one.name, one.hosts) == ("good.test", ("good.test",))
