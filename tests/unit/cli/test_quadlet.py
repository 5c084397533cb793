import pytest

from proxyctl.cli import quadlet


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("a=b c=d", ["a=b", "c=d"]),
        ('"a=b c" d', ["a=b c", "d"]),
        ("a='b c'", ["a=b c"]),
        ('a=b"c"d', ["a=bcd"]),
        ("  a   b ", ["a", "b"]),
        ('"" a', ["", "a"]),
        ('"open to the end', ["open to the end"]),
        ("", []),
    ],
)
def test_words_are_split_and_unquoted_as_systemd_does(value, words):
    assert quadlet.words(value) == words


def test_settings_know_their_section_and_line():
    text = "[Unit]\nA=1\n; no\n# no\n\n[Pod]\nB = two \\\n# between\n three\nC=\n"

    found = [(s.line, s.section, s.key, s.value) for s in quadlet.settings(text)]

    assert found == [
        (2, "Unit", "A", "1"),
        (7, "Pod", "B", "two   three"),
        (10, "Pod", "C", ""),
    ]
