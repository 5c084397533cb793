"""The runtime API as text."""

import pytest

from proxyctl.haproxy import protocol
from proxyctl.haproxy.protocol import commands, refusal
from proxyctl.plan.capabilities import capabilities_of
from proxyctl.plan.steps import (
    AddServer,
    PutMapEntry,
    RemoveMapEntry,
    RemoveServer,
    ReplaceMap,
    SetServerAddress,
    SetServerState,
    SetServerWeight,
)
from proxyctl.problems import CommandRejected
from proxyctl.state.model import Server, ServerState

OLD = capabilities_of((2, 6, 12))
NEW = capabilities_of((3, 0, 11))
GITEA = Server(name="gitea", address="10.88.0.2", port=3000)
MAP = "/run/haproxy/maps/web.map"


def test_a_server_is_added_and_enabled():
    assert commands(AddServer("app", GITEA), NEW) == (
        "add server app/gitea 10.88.0.2:3000 weight 100",
        "enable server app/gitea",
    )


def test_a_server_with_checks_is_checked_before_it_is_enabled():
    assert commands(AddServer("app", GITEA, ("check", "inter 2s")), NEW) == (
        "add server app/gitea 10.88.0.2:3000 weight 100 check inter 2s",
        "enable health app/gitea",
        "enable server app/gitea",
    )


def test_a_server_that_is_to_be_checked_first_leaves_maintenance_unnoticed():
    step = AddServer("app", GITEA, ("check",), checked_first=True)

    assert commands(step, NEW)[1:] == (
        "enable health app/gitea",
        "set server app/gitea state drain",
        "set server app/gitea health down",
        "set server app/gitea state ready",
    )


def test_debian_12_gets_its_work_arounds():
    assert commands(AddServer("app", GITEA), OLD, server_id=3) == (
        "add server app/gitea 10.88.0.2:3000 weight 100 id 3 pool-max-conn -1 pool-purge-delay 5s",
        "enable dynamic-cookie backend app",
        "enable server app/gitea",
    )


def test_a_pool_of_ones_own_is_not_overridden():
    added, *_ = commands(AddServer("app", GITEA, ("pool-max-conn 5",)), OLD)

    assert added.endswith("weight 100 pool-max-conn 5")


def test_an_ipv6_address_is_in_brackets_and_a_backup_is_one():
    server = Server(name="s", address="FD00::2", port=80, backup=True)

    added, *_ = commands(AddServer("app", server), NEW)
    assert added == "add server app/s [fd00::2]:80 weight 100 backup"


@pytest.mark.parametrize(
    ("state", "last"),
    [
        (ServerState.READY, "enable server app/s"),
        (ServerState.DRAIN, "set server app/s state drain"),
        (ServerState.MAINT, "add server app/s 10.0.0.1:80 weight 100"),
    ],
)
def test_a_server_is_born_in_maint_and_brought_into_its_state(state, last):
    server = Server(name="s", address="10.0.0.1", port=80, state=state)

    assert commands(AddServer("app", server), NEW)[-1] == last


def test_a_server_drains_before_it_is_in_maint_before_it_is_deleted():
    assert commands(RemoveServer("app", "s"), OLD) == (
        "set server app/s state drain",
        "set server app/s state maint",
        "del server app/s",
    )


@pytest.mark.parametrize(
    ("step", "command"),
    [
        (SetServerAddress("app", "s", "fd00::3", 81), "set server app/s addr fd00::3 port 81"),
        (SetServerWeight("app", "s", 0), "set server app/s weight 0"),
        (SetServerState("app", "s", ServerState.DRAIN), "set server app/s state drain"),
        (PutMapEntry(MAP, "a.test/", "app"), f"set map {MAP} a.test/ app"),
        (RemoveMapEntry(MAP, "*/"), f"del map {MAP} */"),
    ],
)
def test_a_small_step_is_one_command(step, command):
    assert commands(step, NEW) == (command,)


def test_a_missing_entry_is_added_by_payload():
    step = PutMapEntry(MAP, "a.test/", "app")

    assert protocol.add_entry(step) == f"add map {MAP} <<\na.test/ app\n"


def test_a_map_is_replaced_in_batches_that_every_version_takes():
    entries = tuple(
        (f"host{number:05}.example.test/", f"backend{number}") for number in range(5000)
    )
    *batches, commit = commands(ReplaceMap(MAP, entries), OLD, version=7)

    assert commit == f"commit map @7 {MAP}"
    assert all(batch.startswith(f"add map @7 {MAP} <<\n") for batch in batches)
    assert max(map(len, batches)) <= 15_000
    rows = [tuple(row.split()) for batch in batches for row in batch.splitlines()[1:]]
    assert tuple(rows) == entries


def test_an_empty_map_is_committed_without_a_payload():
    assert commands(ReplaceMap(MAP, ()), OLD, version=7) == (f"commit map @7 {MAP}",)


OUT_OF_RANGE = "Version number out of range."
HOSTILE = ("", "a b", "a;b", "a\nb", "a\tb", "a\\b", 'a"b', "a'b", "a\0b", "a\x7fb", "ä", "#1")


@pytest.mark.parametrize("text", [*HOSTILE, "a/b", "a%b", "x" * 256])
def test_a_name_that_could_be_more_than_a_name_is_not_sent(text):
    steps = (
        RemoveServer(text, "s"),
        RemoveServer("app", text),
        SetServerState(text, "s", ServerState.MAINT),
        AddServer(text, GITEA),
        SetServerWeight("app", text, 1),
    )
    for step in steps:
        with pytest.raises(CommandRejected, match="not sent"):
            commands(step, NEW)


@pytest.mark.parametrize("text", [*HOSTILE, "<<", "<<EOF"])
def test_an_entry_that_could_be_more_than_an_entry_is_not_sent(text):
    steps = (
        PutMapEntry(MAP, text, "app"),
        PutMapEntry(MAP, "a.test/", text),
        PutMapEntry(text, "a.test/", "app") if text != "#1" else RemoveMapEntry(MAP, text),
        RemoveMapEntry(MAP, text),
        ReplaceMap(MAP, ((text, "app"),)),
        ReplaceMap(MAP, (("a.test/", text),)),
    )
    for step in steps:
        with pytest.raises(CommandRejected, match="not sent"):
            commands(step, NEW, version=1)
    with pytest.raises(CommandRejected, match="not sent"):
        protocol.add_entry(PutMapEntry(MAP, text, "app"))


@pytest.mark.parametrize(
    "text", ["", "a.test", "1.2.3", "1.2.3.4;", "1.2.3.4 ", "fe80::1%eth0", "::1\n"]
)
def test_only_the_literal_of_an_address_is_sent(text):
    with pytest.raises(CommandRejected, match="not sent"):
        commands(SetServerAddress("app", "s", text, 80), NEW)
    with pytest.raises((CommandRejected, ValueError), match=r"not sent|no word"):
        commands(AddServer("app", Server(name="s", address=text, port=80)), NEW)


@pytest.mark.parametrize("number", [-1, 65536])
def test_numbers_out_of_range_are_not_sent(number):
    for step in (SetServerAddress("app", "s", "::1", number), SetServerWeight("app", "s", number)):
        with pytest.raises(CommandRejected, match="not sent"):
            commands(step, NEW)


@pytest.mark.parametrize("option", ["check;help", "check\nhelp", "inter '2s'", "crt a\\b", "a{b"])
def test_an_option_that_could_be_more_than_an_option_is_not_sent(option):
    if option == "check\nhelp":  # any white space separates words, and becomes a space
        assert "\n" not in commands(AddServer("app", GITEA, (option,)), NEW)[0]
        return
    with pytest.raises(CommandRejected, match="not sent"):
        commands(AddServer("app", GITEA, (option,)), NEW)


def test_an_entry_that_no_version_takes_is_not_sent():
    with pytest.raises(CommandRejected, match="not sent"):
        commands(ReplaceMap(MAP, (("k" * 8000, "v" * 8000),)), NEW, version=1)


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("add server a/s 10.0.0.1:80", "New server registered.\n"),
        ("del server a/s", "Server deleted."),
        ("del server a/s", "Server a/s is going DOWN for maintenance.\nServer deleted.\n"),
        ("set server a/s state maint", ""),
        ("set server a/s state maint", "Server a/s is going DOWN for maintenance. 0 active\n"),
        ("set server a/s addr ::1 port 1", "IP changed from '::2' to '::1' by 'x'\n"),
        ("set server a/s addr ::1 port 1", "nothing changed\n"),
        ("set server a/s addr ::1 port 1", "no need to change the addr, no need to change\n"),
        ("prepare map m", "New version created: 5\n"),
        ("add map m <<\nk v\n", "+ + \n"),
        ("add map m <<\nk v\n", "\nUnknown command, but maybe one of the following ones"),
        ("show map m", "0x1 a b\n"),
        ("show map m", ""),
    ],
)
def test_a_yes_is_a_yes(command, answer):
    assert refusal(command, answer) is None


@pytest.mark.parametrize(
    ("command", "answer", "reason"),
    [
        ("add server a/s 10.0.0.1:80", "No such backend.\n", "No such backend."),
        ("add server a/s 10.0.0.1:80", "", "no answer"),
        ("del server a/s", protocol.NOT_IN_MAINT, protocol.NOT_IN_MAINT),
        ("set server a/s state maint", "Permission denied\n", "Permission denied"),
        ("set server a/s addr x port 1", "Invalid addr 'x'\n", "Invalid addr 'x'"),
        ("set map m k v", "entry not found.\n", "entry not found."),
        ("prepare map m", "Unknown map identifier.\n", "Unknown map identifier."),
        ("show map m", "Unknown map identifier.\n", "Unknown map identifier."),
        ("show info", "Can't find the target PID", "Can't find the target PID"),
        ("add map @9 m <<\nk v\n", "+ + Version number out of range.\n", OUT_OF_RANGE),
        ("enable server a/s", "Unheard of.", "Unheard of."),
    ],
)  # fmt: skip
def test_a_no_is_told_in_haproxys_words(command, answer, reason):
    assert refusal(command, answer) == reason


def test_a_command_in_a_message_is_short_and_has_no_payload():
    assert protocol.shortened("add map m <<\nk v\n") == "add map m <<"
    assert len(protocol.shortened("x" * 500)) == 120
