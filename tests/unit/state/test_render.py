import pytest

from proxyctl.files.templates import packaged
from proxyctl.problems import ConfigRejected
from proxyctl.state.render import parse_sections, quote
from tests.pipeline import decided, pod, stopped

A = pod("a", host="a.test", port="80")


def config(*workloads, **more):
    return decided(*workloads, **more).rendered.texts["haproxy.cfg"]


def digests(*workloads):
    return {s.name: s.digest for s in decided(*workloads).rendered.sections}


def test_a_backend_looks_as_a_person_would_have_written_it():
    section = config(pod("gitea", host="git.example.com", port="3000")).partition("backend gitea")[
        2
    ]

    assert "    mode http\n" in section
    assert "    option forwardfor\n" in section
    assert "    server gitea 10.88.0.2:3000 weight 100\n" in section


def test_equal_input_gives_equal_bytes_in_any_order():
    b = pod("b", host="b.test", port="80")

    assert decided(A, b).rendered == decided(b, A).rendered


def test_the_digest_of_a_section_does_not_depend_on_its_servers():
    moved = pod("a", "10.88.0.77", host="a.test", port="80", weight="3")

    assert digests(A) == digests(moved) == digests(stopped(A))


def test_the_digest_of_a_section_depends_on_everything_else():
    assert digests(A) != digests(pod("a", host="a.test", port="80", compress="on"))
    assert digests(A) != digests(pod("a", host="a.test", port="80", hold="off"))
    assert digests(A) != digests(pod("a", host="a.test", port="80", **{"max-connections": "3"}))


def test_another_pod_changes_no_section_of_the_others():
    both = digests(A, pod("b", host="b.test", port="80"))

    assert digests(A).items() <= both.items()


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("plain", "'plain'"),
        ("it's", "'it'\\''s'"),
        ("100%", "'100%%'"),
        ("%[env(HOME)]", "'%%[env(HOME)]'"),
        ('"$HOME" \\ #', "'\"$HOME\" \\ #'"),
    ],
)
def test_free_text_is_one_quoted_word(text, word):
    assert quote(text) == word


def test_a_header_value_is_quoted_and_an_empty_one_removes():
    labels = {"header.response.Server": "", "header.request.X-A": "it's 5%"}
    text = config(pod("a", host="a.test", port="1", labels=labels))

    assert "http-response del-header Server\n" in text
    assert "http-request set-header X-A 'it'\\''s 5%%'\n" in text


def test_a_template_with_a_mistake_is_refused_with_its_name_and_line():
    broken = {**packaged(), "backend.cfg.j2": "backend x\n{% if %}\n"}

    with pytest.raises(ConfigRejected, match=r"backend\.cfg\.j2:2"):
        config(A, templates=broken)


def test_a_template_that_names_something_unknown_is_refused():
    broken = {**packaged(), "backend.cfg.j2": "{{ backend.nmae }}"}

    with pytest.raises(ConfigRejected, match="nmae"):
        config(A, templates=broken)


def test_a_template_of_the_same_name_replaces_a_part():
    own = {**packaged(), "global.cfg.j2": "global\n    maxconn 7\n"}

    assert "    maxconn 7\n" in config(A, templates=own)


def test_a_line_belongs_to_the_section_above_it():
    rendered = decided(A).rendered
    lines = rendered.texts["haproxy.cfg"].splitlines()

    assert rendered.section_at(lines.index("    option forwardfor") + 1) == "backend/a"
    assert rendered.section_at(1) == ""


def test_sections_are_told_apart_by_their_headers():
    sections = parse_sections("global\n  a\nfrontend web from ::http\n  b\nbackend x\n")

    assert [(s.name, s.first) for s in sections] == [
        ("global", 1),
        ("frontend/web", 3),
        ("backend/x", 5),
    ]
