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


@pytest.mark.parametrize(
    ("file", "folders"),
    [
        ("web.pod", ["web.pod.d", "pod.d"]),
        (
            "a-b-c.container",
            ["a-b-c.container.d", "a-b-.container.d", "a-.container.d", "container.d"],
        ),
        (
            "a-b@1.container",
            ["a-b@1.container.d", "a-b@.container.d", "a-@.container.d", "a-.container.d"],
        ),
    ],
)
def test_drop_ins_are_looked_for_from_the_most_specific_folder_on(file, folders):
    found = list(quadlet.dropin_folders(file))

    assert found[: len(folders)] == folders
    assert found[-1] == f"{file.rpartition('.')[2]}.d"
