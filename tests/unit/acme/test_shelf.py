import os

import pytest

from proxyctl.acme import records, shelf
from proxyctl.acme.records import Order, Record
from proxyctl.acme.schedule import Cost, Window
from proxyctl.acme.shelf import Shelf
from proxyctl.acme.troubles import Trouble, not_yet
from tests.unit.acme.certificates import NOW


def test_a_file_is_replaced_with_its_own_mode_whatever_the_umask(tmp_path):
    file = tmp_path / "new/file"
    before = os.umask(0o077)
    try:
        shelf.write(file, b"one", 0o644)
        shelf.write(file, b"two", 0o644)
    finally:
        os.umask(before)

    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"two", 0o644)
    assert [path.name for path in file.parent.iterdir()] == ["file"]


def test_what_cannot_be_written_is_told_and_leaves_what_was_there(tmp_path):
    (tmp_path / "file").write_bytes(b"one")
    (tmp_path / ".file.new").mkdir()

    with pytest.raises(Trouble) as caught:
        shelf.write(tmp_path / "file", b"two")
    assert caught.value.problem.id == "PX609"
    assert (tmp_path / "file").read_bytes() == b"one"


def test_a_link_beside_the_file_is_not_followed(tmp_path):
    (tmp_path / "victim").write_bytes(b"mine")
    (tmp_path / ".file.new").symlink_to(tmp_path / "victim")
    shelf.write(tmp_path / "file", b"two")

    assert (tmp_path / "victim").read_bytes() == b"mine"


def test_a_file_without_end_is_not_read(tmp_path):
    with (tmp_path / "large").open("wb") as file:
        file.truncate(2**40)

    with pytest.raises(Trouble, match="larger than"):
        shelf.read(tmp_path / "large")


def test_what_a_killed_run_left_is_swept_and_nothing_else(tmp_path):
    place = Shelf(tmp_path / "run", tmp_path / "state")
    place.prepare()
    kept = (place.certificate("a.test"), place.order_key("a.test"), place.record("a.test"))
    swept = (place.challenges / "token", place.certificates / ".a.test.pem.new")
    for file in (*kept, *swept):
        file.write_bytes(b"x")
    place.prepare()

    assert [file.exists() for file in kept] == [True] * 3
    assert [file.exists() for file in swept] == [False] * 2


def test_a_record_comes_back_as_it_was(tmp_path):
    record = Record(
        directory="https://ca.test/dir",
        failures=3,
        next_try=NOW,
        last_error=not_yet("a.test", "soon"),
        order=Order(url="https://ca.test/1", directory="https://ca.test/dir", hosts=("a.test",)),
        window=Window(start=NOW, end=NOW),
    )
    records.save(tmp_path / "r.json", record)

    assert records.load(tmp_path / "r.json") == record


@pytest.mark.parametrize("text", ["", "{", '{"failures": "many"}', '{"next_try": "soon"}', "[]"])
def test_an_unreadable_record_is_forgotten(tmp_path, text):
    (tmp_path / "r.json").write_text(text)

    assert records.load(tmp_path / "r.json") == Record()


def test_failures_are_counted_and_a_dead_order_is_forgotten():
    order = Order(url="u", directory="d", hosts=("a.test",))
    once = records.failed(Record(order=order), Trouble(not_yet("a", ""), Cost.CA), "d", NOW)
    dead = Trouble(not_yet("a", ""), Cost.COUNTED, begin_anew=True)
    twice = records.failed(once, dead, "d", NOW)

    assert (once.failures, once.order) == (1, order)
    assert (twice.failures, twice.order) == (2, None)


def test_failures_at_another_ca_do_not_count():
    record = records.failed(Record(), Trouble(not_yet("a", "")), "production", NOW)

    assert records.about(record, "production") == record
    assert records.about(record, "staging").next_try is None
