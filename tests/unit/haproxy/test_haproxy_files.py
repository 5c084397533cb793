"""HAProxy's files on disk."""

import pytest

from proxyctl.haproxy import files
from proxyctl.haproxy.digests import Digests
from proxyctl.haproxy.files import Layout
from proxyctl.problems import HAProxyUnavailable
from proxyctl.state.digest import digest

TEXTS = {"haproxy.cfg": "global\n", "maps/web.map": "a b\n"}


@pytest.fixture
def layout(tmp_path):
    return Layout(tmp_path / "haproxy", tmp_path / "master.sock")


def test_what_is_written_is_read(layout):
    files.write(layout, TEXTS, TEXTS)

    assert files.read_texts(layout) == TEXTS
    assert Digests(layout).read() == {name: digest(text) for name, text in TEXTS.items()}


def test_a_folder_that_is_not_there_has_no_files(layout):
    assert Digests(layout).read() == {}


def test_only_the_files_that_are_named_are_written(layout):
    files.write(layout, TEXTS, TEXTS)
    files.write(
        layout, {**TEXTS, "haproxy.cfg": "new\n", "maps/web.map": "c d\n"}, ["haproxy.cfg"]
    )

    assert files.read_texts(layout) == {"haproxy.cfg": "new\n", "maps/web.map": "a b\n"}


def test_a_file_without_a_text_is_removed(layout):
    files.write(layout, TEXTS, TEXTS)
    files.write(layout, {}, ["maps/web.map", "maps/never-there.map"])

    assert files.read_texts(layout).keys() == {"haproxy.cfg"}


def test_files_are_readable_by_their_group_whatever_the_umask_is(layout):
    files.write(layout, TEXTS, TEXTS)

    assert {(layout.folder / name).stat().st_mode & 0o777 for name in TEXTS} == {0o640}


def test_what_a_crash_left_is_removed_and_never_read(layout):
    files.write(layout, TEXTS, TEXTS)
    leftovers = [layout.folder / ".haproxy.cfg.new", layout.folder / "maps/.web.map.new"]
    for leftover in leftovers:
        leftover.write_text("half of")

    assert files.read_texts(layout) == TEXTS
    files.write(layout, TEXTS, ["maps/web.map"])
    assert not any(leftover.exists() for leftover in leftovers)


def test_a_file_is_replaced_not_changed(layout):
    files.write(layout, TEXTS, TEXTS)
    with layout.config.open() as opened_before:
        files.write(layout, {"haproxy.cfg": "new\n"}, ["haproxy.cfg"])

        assert opened_before.read() == "global\n"


@pytest.mark.parametrize(
    "name", ["../x", "maps/../x.map", "maps/.x.map", "/etc/passwd", "maps/x", "last-good/x.map"]
)
def test_no_other_file_is_ever_written(layout, name):
    with pytest.raises(ValueError, match="not a file of HAProxy's"):
        files.write(layout, {name: ""}, [name])

    assert not layout.folder.exists()


def test_a_disk_that_fails_is_a_reason_to_try_again(layout):
    layout.folder.write_text("not a folder")

    with pytest.raises(HAProxyUnavailable):
        files.write(layout, TEXTS, TEXTS)


def test_the_last_good_files_come_back_and_new_ones_go(layout):
    files.write(layout, TEXTS, TEXTS)
    files.keep_good(layout)
    bad = {"haproxy.cfg": "bad\n", "maps/web.map": "c d\n", "maps/more.map": "e f\n"}
    files.write(layout, bad, bad)

    assert files.restore_good(layout)
    assert files.read_texts(layout) == TEXTS


def test_without_last_good_files_nothing_is_touched(layout):
    files.write(layout, TEXTS, TEXTS)

    assert not files.restore_good(layout)
    assert files.read_texts(layout) == TEXTS


def test_what_was_good_before_is_forgotten(layout):
    files.write(layout, TEXTS, TEXTS)
    files.keep_good(layout)
    files.write(layout, {"haproxy.cfg": "new\n"}, TEXTS)
    files.keep_good(layout)

    assert files.read_texts(layout.last_good) == {"haproxy.cfg": "new\n"}


def test_maps_are_ours_by_absolute_and_by_relative_name(layout):
    assert layout.file_of(f"{layout.folder}/maps/web.map") == "maps/web.map"
    assert layout.file_of("maps/web.map") == "maps/web.map"
    assert layout.file_of("/etc/haproxy/maps/web.map") == ""
    assert layout.file_of(f"{layout.folder}/other.map") == ""


def test_bytes_that_are_no_text_survive(layout):
    text = b"\xff\xfe\n".decode("utf-8", "surrogateescape")
    files.write(layout, {"haproxy.cfg": text}, ["haproxy.cfg"])

    assert Digests(layout).read()["haproxy.cfg"] == digest(text)
