import pytest

from proxyctl.routes import values

HOSTILE = (
    "a b", "a\nb", "a\rb", "a\tb", "a\x00b", 'a"b', "a'b", "a#b", "a\\b", "a%[env(HOME)]", "a%b",
    "a{b", "a}b", "a;b", "$HOME", "${HOME}", "a`b", "a\x7fb", "a\u2028b", "é", "\ud800", "",
)  # fmt: skip

WORDS = (
    values.parse_bool, values.parse_port, values.parse_weight, values.parse_count,
    values.parse_priority, values.parse_name, values.parse_names, values.parse_network_name,
    values.parse_hosts, values.parse_hostname, values.parse_path, values.parse_duration,
    values.parse_sources, values.parse_header_name, values.parse_cookie_name, values.parse_status,
    values.parse_health, values.parse_hold, values.parse_host_header, values.parse_rate,
    values.parse_hsts,
)  # fmt: skip


@pytest.mark.parametrize("parse", WORDS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("text", HOSTILE)
def test_no_typed_word_lets_a_hostile_text_through(parse, text):
    with pytest.raises(ValueError, match=r"\w"):
        parse(text)


@pytest.mark.parametrize("zone", ["eth0", "a b", "x\nlisten evil", "%[src]", "1]", "#"])
@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (values.parse_hostname, "[fe80::1%{}]"),
        (values.parse_hosts, "a.test,[fe80::1%{}]"),
        (values.parse_host_header, "[fe80::1%{}]"),
        (values.parse_sources, "fe80::1%{}"),
        (values.parse_sources, "fe80::1%{}/64"),
        (values.parse_network, "fe80::1%{}"),
    ],
)
def test_no_address_has_a_zone(parse, text, zone):
    """Python takes any text for one, line breaks too."""
    with pytest.raises(ValueError, match="expected"):
        parse(text.format(zone))


@pytest.mark.parametrize("suffix", ["\n", " ", "\x00"])
@pytest.mark.parametrize(
    ("parse", "good"),
    [
        (values.parse_port, "80"),
        (values.parse_name, "a"),
        (values.parse_hostname, "a.test"),
        (values.parse_path, "/a"),
        (values.parse_duration, "5s"),
        (values.parse_header_name, "X-A"),
        (values.parse_status, "200"),
        (values.parse_rate, "1/1s"),
        (values.parse_cookie_name, "A"),
    ],
)
def test_a_good_word_with_something_behind_it_is_refused(parse, good, suffix):
    parse(good)

    with pytest.raises(ValueError, match="expected"):
        parse(good + suffix)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("git.example.com", ("git.example.com",)),
        ("Git.Example.COM.", ("git.example.com",)),
        ("a.test, b.test", ("a.test", "b.test")),
        ("a.test,a.test", ("a.test",)),
        ("a.test,A.test,a.test.", ("a.test",)),
        ("*.example.com", ("*.example.com",)),
        ("*.a.b.c.d.e.f.g.h", ("*.a.b.c.d.e.f.g.h",)),
        ("*", ("*",)),
        ("[::1]", ("[::1]",)),
        ("[2001:DB8:0::1]", ("[2001:db8::1]",)),
        ("192.0.2.1", ("192.0.2.1",)),
        ("localhost", ("localhost",)),
        ("_dmarc.example.com", ("_dmarc.example.com",)),
        ("xn--bcher-kva.example", ("xn--bcher-kva.example",)),
    ],
)
def test_hosts_are_read_in_canonical_form(text, value):
    assert values.parse_hosts(text) == value


@pytest.mark.parametrize(
    "text",
    ["http://a.test", "a.test:80", "a.test/", "a..test", ".a.test", "-a.test", "a*.test",
     "*a.test", "a.*.test", "*.a.b.c.d.e.f.g.h.i",
     "a.test,", ",", "[::1", "[g::1]", "a" * 64 + ".test",
     ".".join(["a" * 60] * 5), "bücher.example"],
)  # fmt: skip
def test_what_is_not_a_host_is_refused(text):
    with pytest.raises(ValueError, match="expected"):
        values.parse_hosts(text)


def test_a_host_in_another_script_is_told_its_ascii_form():
    with pytest.raises(ValueError, match=r"xn--bcher-kva\.example"):
        values.parse_hosts("bücher.example")


@pytest.mark.parametrize(
    ("text", "value"), [("/", ""), ("/api", "/api"), ("/api/", "/api"), ("/a/b.c/~d", "/a/b.c/~d")]
)
def test_paths_lose_their_last_slash(text, value):
    assert values.parse_path(text) == value


@pytest.mark.parametrize(
    "text", ["api", "/a//b", "//", "/a/../b", "/.", "/api/*", "/a?b", "/a%20"]
)
def test_what_is_not_a_plain_prefix_is_refused(text):
    with pytest.raises(ValueError, match="expected"):
        values.parse_path(text)


@pytest.mark.parametrize("text", ["5", "5 s", "-1s", "1.5s", "5S", "25d", "999999999999s", "1w"])
def test_durations_need_a_unit_and_fit_haproxy(text):
    with pytest.raises(ValueError, match="expected"):
        values.parse_duration(text)


@pytest.mark.parametrize(("text", "ms"), [("500ms", 500), ("5s", 5000), ("1h", 3_600_000)])
def test_durations_are_known_in_milliseconds(text, ms):
    assert values.milliseconds(values.parse_duration(text)) == ms


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10.0.0.0/8", ("10.0.0.0/8",)),
        ("192.0.2.7", ("192.0.2.7/32",)),
        ("192.0.2.7/24", ("192.0.2.0/24",)),
        ("2001:db8:7::/48", ("2001:db8:7::/48",)),
        ("private,@office", ("private", "@office")),
    ],
)
def test_sources_are_networks_in_canonical_form(text, value):
    assert values.parse_sources(text) == value


@pytest.mark.parametrize(
    "text", ["10.0.0.0/33", "300.1.1.1", "office", "@", "@a b", "10.0.0.0/8,"]
)
def test_what_is_not_a_network_is_refused(text):
    with pytest.raises(ValueError, match="expected"):
        values.parse_sources(text)


def test_header_text_is_free_but_for_control_characters():
    text = 'it\'s 100% "$HOME" #{%[env(HOME)]} \\ ü'

    assert values.parse_header_text(text) == text
    for bad in ("a\nb", "a\rb", "a\x00b", "a\x1bb", "a\x85b", "a" * 1025):
        with pytest.raises(ValueError, match="expected"):
            values.parse_header_text(bad)


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding", "Connection"])
def test_headers_that_frame_a_message_are_not_for_labels(name):
    with pytest.raises(ValueError, match="HAProxy"):
        values.parse_header_name(name)


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("YES", True), ("On", True), ("1", True), ("false", False),
                        ("No", False), ("OFF", False), ("0", False)],
)  # fmt: skip
def test_truth_has_many_words(text, value):
    assert values.parse_bool(text) is value


@pytest.mark.parametrize(
    ("text", "seconds"), [("off", 0), ("1h", 3600), ("365d", 31_536_000), ("1500ms", 1)]
)
def test_hsts_is_told_in_seconds(text, seconds):
    assert values.parse_hsts(text) == seconds


@pytest.mark.parametrize("text", ["", "365", "0s", "10ms", "4000d", "1y", "1h; x"])
def test_hsts_is_a_duration(text):
    with pytest.raises(ValueError, match="365d"):
        values.parse_hsts(text)
