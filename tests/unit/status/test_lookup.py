import pytest

from proxyctl.status.lookup import Asked, canonical, look_up, winner

ENTRIES = (
    (".example.com/", "wild"),
    (".b.example.com/docs/", "docs"),
    ("*/", "all"),
    ("git.example.com/", "git"),
    ("git.example.com/api/", "api"),
    ("git.example.com/api/v2/", "v2"),
)


@pytest.mark.parametrize(
    ("host", "path", "expected"),
    [
        ("Git.Example.com", "/", ("git.example.com", "/")),
        ("git.example.com.:8080", "/x", ("git.example.com", "/x")),
        ("git.example.com..", "//a//b/", ("git.example.com", "/a/b/")),
        ("git.example.com", "/%61pi?q=/x", ("git.example.com", "/api")),
        ("git.example.com", "/a%2fb", ("git.example.com", "/a/b")),
        ("[::1]:80", "/a+b", ("[::1]", "/a+b")),
    ],
)
def test_host_and_path_are_looked_up_in_canonical_form(host, path, expected):
    assert canonical(host, path) == Asked(*expected)


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("a,b", "/"),
        ("a.test:80.", "/"),
        ("-a.test", "/"),
        ("", "/"),
        ("a b", "/"),
        ("a.test", "/%00"),
        ("a.test", "/a/../b"),
        ("a.test", "/a/%2e%2e/b"),
        ("a.test", "/."),
        ("a.test", "/admin/%zz"),
        ("a.test", "/admin/%"),
    ],
)
def test_what_could_steer_the_maps_is_refused(host, path):
    assert canonical(host, path).refusal


@pytest.mark.parametrize(
    ("host", "path", "backend"),
    [
        ("git.example.com", "/", "git"),
        ("git.example.com", "/api", "api"),
        ("git.example.com", "/api/", "api"),
        ("git.example.com", "/apix", "git"),
        ("git.example.com", "/api/v2/x", "v2"),
        ("a.example.com", "/", "wild"),
        ("a.b.example.com", "/", "wild"),
        ("a.b.example.com", "/docs/x", "docs"),
        ("b.example.com", "/docs", "wild"),
        ("example.com", "/", "all"),
        ("other.test", "/x", "all"),
        ("localhost", "/", "all"),
    ],
)
def test_the_exact_host_wins_then_its_parents_then_any_with_the_longest_path(host, path, backend):
    assert winner(look_up(ENTRIES, canonical(host, path))) == backend


def test_a_wildcard_covers_every_level_and_the_nearest_wins():
    entries = (".a.b.c.d.e.f.g.h/", "eight"), (".h/", "one")

    assert winner(look_up(entries, canonical("x." * 100 + "a.b.c.d.e.f.g.h", "/"))) == "eight"
    assert winner(look_up(entries, canonical("a.b.c.d.e.f.g.h", "/"))) == "one"
    assert winner(look_up(entries, canonical("x." * 100 + "h", "/"))) == "one"
    assert winner(look_up(entries, canonical("h", "/"))) == ""


def test_keys_are_told_in_the_order_of_asking_with_what_became_of_them():
    found = look_up(ENTRIES, canonical("git.example.com", "/api"))

    assert [(c.key, c.how, str(c.outcome)) for c in found] == [
        ("git.example.com/api/v2", "exact host", "path differs"),
        ("git.example.com/api", "exact host", "won"),
        ("git.example.com/", "exact host", "a longer path won"),
        ("*.example.com/", "wildcard", "not asked any more"),
        ("*/", "any host", "not asked any more"),
    ]
