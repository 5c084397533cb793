import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from proxyctl.cli.output import Screen, clock, counted, duration, wants_color
from tests.unit.status import sample

ROOT = Path(__file__).parents[3]
HEAVY = ("podman", "jinja2", "pydantic", "requests", "watchdog", "rich", "waitress", "yaml")


def run(*arguments, **more):
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, **more)


def test_ls_imports_nothing_heavy(ask, tmp_path):
    ask("ls")  # leaves a service running on the socket until the test ends
    code = (
        "import sys; from proxyctl.cli import main\n"
        "try: main(['--socket', sys.argv[1], 'ls'])\n"
        f"except SystemExit: print([name for name in {HEAVY!r} if name in sys.modules])"
    )

    result = run("-c", code, str(tmp_path / "0.sock"))

    assert result.stdout.splitlines()[-1] == "[]"
    assert "gitea" in result.stdout


@pytest.mark.parametrize("arguments", [("--json", "ls"), ("ls", "--json")])
def test_global_options_stand_before_or_after_the_verb(ask, arguments):
    _, out, _ = ask(*arguments)

    assert out.startswith("{")


def test_a_flag_wins_over_the_environment(ask, monkeypatch, tmp_path):
    monkeypatch.setenv("PROXYCTL_SOCKET", str(tmp_path / "none.sock"))

    assert ask("ls")[0] == 0


def test_the_environment_names_the_socket(proxyctl, monkeypatch, tmp_path):
    monkeypatch.setenv("PROXYCTL_SOCKET", str(tmp_path / "none.sock"))

    code, _, err = proxyctl("ls")

    assert code == 3
    assert str(tmp_path / "none.sock") in err


def test_an_unknown_verb_gets_a_suggestion(proxyctl):
    code, _, err = proxyctl("statu")

    assert code == 2
    assert err == "error: there is no verb statu, did you mean status?\n   see: proxyctl --help\n"


@pytest.mark.parametrize(
    "arguments", [("explain",), ("ls", "x"), ("--nosuch",), ("events", "--since", "x")]
)
def test_wrong_usage_is_2_and_no_traceback(proxyctl, arguments):
    code, out, err = proxyctl(*arguments)

    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert "--help" in err


@pytest.mark.parametrize("name", ["", " ", "\n", "x" * 9000])
@pytest.mark.parametrize("verb", ["explain", "render", "drain", "maint", "ready", "labels"])
def test_a_name_that_is_none_is_wrong_usage_and_not_everything(proxyctl, verb, name):
    code, out, err = proxyctl(verb, name)

    assert (code, out) == (2, "")
    assert err.startswith("error: Invalid value for ")


def test_without_a_verb_there_is_help_and_no_error(proxyctl):
    code, out, err = proxyctl()

    assert (code, out) == (2, "")
    assert err.startswith("Usage: proxyctl")


def test_help_and_version_are_0(proxyctl):
    assert proxyctl("--help")[0] == 0
    assert proxyctl("ls", "-h")[0] == 0
    assert proxyctl("--version")[:2] == (0, "proxyctl 0.1.0\n")


def test_a_reader_that_goes_away_is_no_reason_to_complain(ask, tmp_path):
    ask("ls")
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "proxyctl", "--socket", str(tmp_path / "0.sock"), "-q", "ls"]
    result = subprocess.run(
        command, cwd=ROOT, check=False, stdout=write, stderr=subprocess.PIPE, text=True
    )
    os.close(write)

    assert result.stderr == ""
    assert result.returncode != 0


@pytest.mark.parametrize("arguments", [["ls"], ["--json", "status"], ["--help"]])
def test_a_full_disk_is_told_without_a_traceback(ask, tmp_path, arguments):
    ask("ls")
    command = [sys.executable, "-m", "proxyctl", "--socket", str(tmp_path / "0.sock"), *arguments]
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        result = subprocess.run(
            command, cwd=ROOT, check=False, stdout=full, stderr=subprocess.PIPE, text=True
        )

    assert result.stderr == "error: cannot write the answer: No space left on device\n"
    assert result.returncode == 1


def test_a_closed_standard_output_is_no_traceback(ask, tmp_path):
    ask("ls")
    command = f'"{sys.executable}" -m proxyctl --socket "{tmp_path}/0.sock" -q ls >&-'

    result = subprocess.run(
        ["/bin/sh", "-c", command], cwd=ROOT, check=False, capture_output=True, text=True
    )

    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    "arguments", [["labels", "\x1b[31m"], ["\x1b[31m"], ["-c", "/no\x1b[31m", "version"]]
)
def test_no_control_character_of_an_argument_reaches_the_terminal(proxyctl, arguments):
    _, out, err = proxyctl(*arguments)

    assert "\x1b" not in out + err


def test_completion_knows_the_workloads_of_a_running_service(ask, tmp_path):
    ask("ls")
    environment = {
        **os.environ,
        "_PROXYCTL_COMPLETE": "bash_complete",
        "COMP_WORDS": "proxyctl explain sho",
        "COMP_CWORD": "2",
        "PROXYCTL_SOCKET": str(tmp_path / "0.sock"),
    }

    result = run("-m", "proxyctl", env=environment)

    assert result.stdout.split() == ["plain,shop-a", "plain,shop-b", "plain,shop.example.com"]


@pytest.mark.parametrize(
    ("choice", "environment", "terminal", "expected"),
    [
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"TERM": "dumb"}, True, False),
        ("auto", {"NO_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True),
        ("auto", {"FORCE_COLOR": "1"}, False, True),
        ("auto", {"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {"FORCE_COLOR": "1"}, True, False),
    ],
)
def test_colour_follows_the_flag_then_the_environment_then_the_terminal(
    choice, environment, terminal, expected
):
    assert wants_color(choice, environment, terminal=terminal) is expected


def test_colours_are_added_to_words_and_never_instead_of_them(ask):
    _, plain, _ = ask("ls", "--color", "never")
    _, coloured, _ = ask("ls", "--color", "always")

    assert "\x1b[32mUP" in coloured
    assert re.sub(r"\x1b\[[0-9]+m", "", coloured) == plain


def test_a_table_on_a_terminal_keeps_every_word(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    screen = Screen("never")
    screen.terminal = True

    text = screen.table(("HOST", "STATE"), [("git.example.com", "UP"), ("x" * 60, "DOWN")])

    assert "\x1b" not in text
    assert "git.example.com" in text
    assert "DOWN" in text
    assert max(map(len, text.splitlines())) <= 40


def test_durations_have_two_units():
    assert duration(0) == "0 s"
    assert duration(59) == "59 s"
    assert duration(3_600) == "1 h"
    assert duration(183_900) == "2 d 3 h"


def test_one_is_not_many():
    assert (counted(1, "route"), counted(2, "route")) == ("1 route", "2 routes")


def test_times_long_ago_have_a_date():
    assert len(clock(sample.NOW, sample.NOW)) == 8
    assert len(clock(sample.NOW - 90_000, sample.NOW)) == 15
