"""Whatever a label says, it is a problem of its own workload's, or typed words of haproxy.cfg."""

import re
from dataclasses import fields, is_dataclass
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from proxyctl.routes.route import ADAPTER, HEADER_PREFIXES, Route, label_fields
from tests.pipeline import decided, pod

KEYS = sorted(key for key in label_fields() if key not in {"header.request", "header.response"})
GOOD = (
    "80", "a.test", "*.a.test", "[::1]", "[fe80::1]", "fe80::1", "10.0.0.0/8", "fe80::/64",
    "/a", "5s", "100/10s", "on", "off", "http", "tcp", "private", "@office", "cookie", "web",
    "200-399", "auto", "g", "internal", "-5", "passthrough", "published",
)  # fmt: skip
OPEN = (
    "[fe80::1%{}]", "fe80::1%{}", "fe80::1%{}/64", "a.test{}", "*.{}", "/a{}", "@{}", "5s{}", "{}",
    "10.0.0.0/8{}", "100/10s{}", "200{}",
)  # fmt: skip
"""A good value up to the place where somebody might slip something in."""
EVIL = (
    "x\nevil\n    #", "x\nevil\n", "%evil", " evil", "a,evil\nevil",
    "\n", "\r", "\x00", " ", "\t", '"', "'", "#", "\\", "%", "%[env(HOME)]",
    "]", "[", "{", "}", "$HOME", ";", "|", "<<", "\u2028", "é", ",", ":", "/", "/..", "::to:",
)  # fmt: skip


CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")
WORD = re.compile(r"[A-Za-z0-9._:/,@*=+~\[\]-]*", re.ASCII)
SECTIONS = re.compile(r"backend/(good|[a-z0-9._-]+(:b|:pod|:[0-9a-f]{8})?)")


def words_in(value):
    """Yield every text that a field of a route holds."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from words_in(item)
    elif is_dataclass(value):
        for part in fields(value):
            yield from words_in(getattr(value, part.name))


@pytest.mark.parametrize("key", KEYS)
def test_no_label_takes_what_does_not_belong_to_its_value(key):
    info = label_fields()[key]
    name = next(n for n, i in Route.__pydantic_fields__.items() if i is info)
    for start, evil in product((*OPEN, *(good + "{}" for good in GOOD)), EVIL):
        for text in (start.format(evil), start.format(evil) + "]"):
            try:
                route = ADAPTER.validate_python({key: text})
            except ValidationError:
                continue
            assert all(WORD.fullmatch(word) for word in words_in(getattr(route, name))), text


@st.composite
def texts(draw):
    """A good value of some label with something evil put into it, or anything at all."""
    if draw(st.integers(0, 4)) == 0:
        return draw(st.text(max_size=40))
    if draw(st.booleans()):
        return draw(st.sampled_from(OPEN)).format(draw(st.sampled_from(EVIL)))
    text = draw(st.sampled_from(GOOD))
    for piece in draw(st.lists(st.sampled_from(EVIL), max_size=2)):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + piece + text[at:]
    return text


@st.composite
def labels(draw):
    keys = [*KEYS, *(f"{start}X-A" for start in HEADER_PREFIXES), "route.b.host", "route.b.path"]
    found = {"host": "bad.test", "port": "80"}
    for key in draw(st.lists(st.sampled_from(keys), min_size=1, max_size=4)):
        found[key] = draw(texts())
    return found


@settings(max_examples=300, deadline=None)
@given(labels())
def test_a_label_writes_no_line_of_its_own_and_touches_no_neighbour(found):
    good = pod("good", "10.88.0.2", host="good.test", port="80", created=1)
    bad = pod("bad", "10.88.0.3", labels=found, created=2)

    alone, both = decided(good), decided(good, bad)

    texts = both.rendered.texts
    usual = {section.name for section in alone.rendered.sections}
    for section in both.rendered.sections:
        assert section.name in usual or SECTIONS.fullmatch(section.name)
    for name, text in texts.items():
        assert not CONTROL.search(text), name
        assert not any(line.split()[:1] == ["evil"] for line in text.splitlines()), text
        if name.startswith("maps/"):
            assert all(len(row.split(" ")) == 2 for row in text.splitlines()), text
    kept = dict(row.split(" ") for row in texts["maps/web.http.map"].splitlines())
    assert kept["good.test/"].split("|")[0] == "good"
    (backend,) = (b for b in both.desired.backends if b.name == "good")
    assert backend == alone.desired.backends[0]
    assert not any(problem.workload == good.uid for problem in both.problems)
