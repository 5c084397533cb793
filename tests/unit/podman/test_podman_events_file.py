import json
import os
import time
from pathlib import Path

import pytest

from proxyctl.podman import events_file
from proxyctl.podman.events import bell
from proxyctl.podman.events_file import EarlyBell, EventsFile, change_of, guess_path, owner_of
from proxyctl.wakeup import Ring, Wakeup

DATA = Path(__file__).parent / "data"


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(events_file, "PAUSE", 0.1)


@pytest.fixture
def folder(tmp_path):
    """A folder that Podman could have made; its file is there."""
    made = tmp_path / "events"
    made.mkdir()
    (made / "events.log").write_text(line("old", "start"))
    return made


@pytest.fixture
def wakeup():
    return Wakeup(quiet=0.01, patience=0.05)


@pytest.fixture
def early(tmp_path, wakeup):
    bell = EarlyBell("main", wakeup, tmp_path / "events" / "events.log")
    bell.start()
    yield bell
    bell.stop()


def line(identity, status, kind="container"):
    return json.dumps({"ID": identity, "Status": status, "Type": kind}) + "\n"


def write(folder, *lines):
    with (folder / "events.log").open("a") as file:
        file.write("".join(lines))


def follows(bell):
    deadline = time.monotonic() + 20
    while not bell.healthy and time.monotonic() < deadline:
        time.sleep(0.01)
    return bell.healthy


def rung(wakeup, wanted):
    """Return all that was rung until `wanted` was."""
    heard = set()
    deadline = time.monotonic() + 20
    while wanted not in heard and time.monotonic() < deadline:
        heard |= {ring.changed for ring in wakeup.wait(1) if ring.source == "podman:main"}
    assert wanted in heard
    return heard


# What it says.


def test_a_recorded_file_rings_for_what_the_api_would_ring_for():
    raw = (DATA / "events-4.3.1-file.raw").read_bytes().splitlines()
    heard = {(json.loads(one)["Type"], json.loads(one)["Status"]): change_of(one) for one in raw}
    silent = {key for key, changed in heard.items() if changed is None}

    assert silent == {
        ("container", "exec"),
        ("container", "exec_died"),
        ("image", "build"),
        ("image", "pull"),
        ("image", "tag"),
        ("volume", "create"),
    }
    assert {key[0] for key, changed in heard.items() if changed == ""} == {"system"}
    for one in raw:
        assert change_of(one) in (None, "", json.loads(one).get("ID"))


@pytest.mark.parametrize(
    ("kind", "status"),
    [("container", "start"), ("pod", "stop"), ("container", "exec"), ("planet", "x")],
)
def test_a_line_of_the_file_rings_like_the_same_event_of_the_api(kind, status):
    event = {"Type": kind, "Action": status, "Actor": {"ID": "c1"}}

    assert change_of(line("c1", status, kind).encode()) == bell(event)


@pytest.mark.parametrize(
    "text", [b"", b"garbage", b"[]", b"{}", b"\xff", b'{"Type": 1}', b"[" * 100_000]
)
def test_what_is_no_event_does_not_ring(text):
    assert change_of(text) is None


# The file.


def test_only_what_was_appended_and_completed_is_read(folder):
    file = EventsFile(folder / "events.log")
    file.open()
    write(folder, "one\ntw")
    first = list(file.appended())
    write(folder, "o\n" + "x" * 200_000 + "\n")

    assert first == [b"one"]
    assert list(file.appended()) == [b"two", b"x" * 200_000]
    assert list(file.appended()) == []
    file.close()


def test_the_rest_of_a_replaced_file_is_read(folder):
    file = EventsFile(folder / "events.log")
    file.open()
    write(folder, "last\n")
    (folder / "new").write_text("")
    (folder / "new").rename(folder / "events.log")

    assert list(file.appended()) == [b"last"]
    assert not file.is_current()
    file.close()


def test_a_file_that_was_cut_is_not_current(folder):
    file = EventsFile(folder / "events.log")
    file.open()
    assert file.is_current()
    os.truncate(folder / "events.log", 3)

    assert not file.is_current()
    file.close()


def test_a_line_without_an_end_is_not_kept_for_ever(folder, monkeypatch):
    monkeypatch.setattr(events_file, "LONGEST_LINE", 1000)
    file = EventsFile(folder / "events.log")
    file.open()
    write(folder, "x" * 2000)
    assert list(file.appended()) == []
    write(folder, "y\nnext\n")

    assert list(file.appended()) == [b"y", b"next"]
    file.close()


@pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
def test_what_is_no_file_is_not_opened(tmp_path, kind):
    path = tmp_path / "events.log"
    (tmp_path / "secret").write_text("x")
    {
        "pipe": lambda: os.mkfifo(path),
        "link": lambda: path.symlink_to(tmp_path / "secret"),
        "folder": path.mkdir,
    }[kind]()

    with pytest.raises(OSError, match=r"events\.log"):
        EventsFile(path).open()


# The bell.


def test_an_event_rings_for_its_object_and_old_ones_do_not(folder, wakeup, early):
    assert follows(early)
    write(folder, line("c0", "exec"), line("c1", "start"), line("p1", "stop", "pod"))

    assert rung(wakeup, "p1") == {"c1", "p1"}


def test_it_is_the_folder_that_tells_not_the_clock(folder, wakeup, monkeypatch):
    monkeypatch.setattr(events_file, "PAUSE", 3600)
    bell = EarlyBell("main", wakeup, folder / "events.log")
    bell.start()
    assert follows(bell)
    for identity in ("c1", "c2"):
        write(folder, line(identity, "start"))

        assert rung(wakeup, identity) == {identity}
    bell.stop()


def test_a_folder_that_comes_later_rings_for_everything(tmp_path, wakeup, early):
    time.sleep(0.15)
    (tmp_path / "events").mkdir()
    write(tmp_path / "events", line("c1", "start"))
    rung(wakeup, "")
    assert follows(early)
    write(tmp_path / "events", line("c2", "start"))

    assert rung(wakeup, "c2") == {"c2"}


def test_a_rotation_rings_for_everything_and_not_for_the_lines_that_were_kept(
    folder, wakeup, early
):
    assert follows(early)
    write(folder, line("c1", "start"))
    (folder / "123").write_text(line("old", "start") * 100 + line("c1", "start"))
    (folder / "123").rename(folder / "events.log")
    assert rung(wakeup, "") <= {"", "c1"}
    write(folder, line("c2", "start"))

    assert rung(wakeup, "c2") <= {"c1", "c2"}


def test_a_cut_file_rings_for_everything_and_is_followed_on(folder, wakeup, early):
    assert follows(early)
    os.truncate(folder / "events.log", 0)
    rung(wakeup, "")
    write(folder, line("c1", "start"))

    assert rung(wakeup, "c1") == {"c1"}


def test_a_removed_folder_is_watched_again_when_it_returns(folder, wakeup, early):
    assert follows(early)
    (folder / "events.log").unlink()
    folder.rmdir()
    while early.healthy:
        time.sleep(0.01)
    folder.mkdir()
    write(folder, line("c1", "start"))
    rung(wakeup, "")
    assert follows(early)
    write(folder, line("c2", "start"))

    assert rung(wakeup, "c2") == {"c2"}


def test_garbage_is_passed_over(folder, wakeup, early):
    assert follows(early)
    write(folder, "garbage\n[]\n", line("c1", "start"))

    assert rung(wakeup, "c1") == {"c1"}


def test_no_folder_at_all_is_told_once_for_debugging_and_never_rung(tmp_path, wakeup, caplog):
    bell = EarlyBell("main", wakeup, tmp_path / "events" / "events.log")
    with caplog.at_level("DEBUG", logger="proxyctl.podman.events_file"):
        bell.start()
        time.sleep(0.5)
        bell.stop()

    assert [one.levelname for one in caplog.records if one.name.startswith("proxyctl")] == [
        "DEBUG"
    ]
    assert wakeup.wait(0) == frozenset()
    assert not bell.is_alive()


def test_a_stopped_bell_is_silent(folder, wakeup, early):
    assert follows(early)
    early.stop()
    write(folder, line("c1", "start"))

    assert not early.is_alive()
    assert not early.healthy
    assert Ring("podman:main", "c1") not in wakeup.wait(0.2)


# Where it is.


@pytest.fixture
def no_system_files(monkeypatch):
    monkeypatch.setattr(events_file, "_SYSTEM_CONF", ())


@pytest.mark.usefixtures("no_system_files")
@pytest.mark.parametrize(
    ("uid", "environment", "path"),
    [
        (0, {"HOME": "/root", "XDG_RUNTIME_DIR": "/run/user/0"}, "/run/libpod"),
        (1000, {}, "/run/user/1000/libpod/tmp"),
        (1000, {"XDG_RUNTIME_DIR": "/tmp/run"}, "/tmp/run/libpod/tmp"),
    ],
)
def test_without_configuration_the_file_is_where_podman_puts_it(uid, environment, path):
    assert guess_path(uid, environment) == Path(path, "events/events.log")


@pytest.mark.parametrize(
    ("engine", "path"),
    [
        ('tmp_dir = "/x"', Path("/x/events/events.log")),
        ('tmp_dir = "/x"\nevents_logfile_path = "/y/z.log"', Path("/y/z.log")),
        ('events_logfile_path = ""', Path("/run/libpod/events/events.log")),
        ('events_logger = "file"', Path("/run/libpod/events/events.log")),
        ('events_logger = "journald"', None),
        ('events_logger = "none"', None),
        ("not toml", Path("/run/libpod/events/events.log")),
    ],
)
def test_containers_conf_says_where_the_file_is(tmp_path, engine, path):
    (tmp_path / "containers.conf").write_text(f"[engine]\n{engine}\n")

    assert guess_path(0, {"CONTAINERS_CONF": str(tmp_path / "containers.conf")}) == path


def test_later_configuration_wins_and_a_users_own_counts_for_the_user_alone(tmp_path, monkeypatch):
    def write_conf(name, logger):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'[engine]\nevents_logfile_path = "/{logger}"\n')

    write_conf("etc/containers.conf", "etc")
    write_conf("etc/containers.conf.d/10.conf", "ten")
    write_conf("etc/containers.conf.d/20.conf", "twenty")
    write_conf(".config/containers/containers.conf", "user")
    write_conf("override.conf", "override")
    monkeypatch.setattr(events_file, "_SYSTEM_CONF", (str(tmp_path / "etc/containers.conf"),))
    home = {"HOME": str(tmp_path)}
    override = home | {"CONTAINERS_CONF_OVERRIDE": str(tmp_path / "override.conf")}

    assert guess_path(0, home) == Path("/twenty")
    assert guess_path(1000, home) == Path("/user")
    assert guess_path(1000, override) == Path("/override")


@pytest.mark.parametrize(
    ("url", "uid"),
    [
        ("/run/podman/podman.sock", 0),
        ("unix:///run/user/1234/podman/podman.sock", 1234),
        ("/nowhere/podman.sock", 0),
    ],
)
def test_the_owner_of_a_socket_is_known_by_its_path(url, uid):
    assert owner_of(url) == uid


def test_the_owner_of_any_other_socket_is_the_owner_of_the_file(tmp_path):
    (tmp_path / "podman.sock").touch()

    assert owner_of(f"unix://{tmp_path}/podman.sock") == os.getuid()
