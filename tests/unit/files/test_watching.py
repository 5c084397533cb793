"""Real files, real inotify. Each change must ring by itself; how soon is nobody's business."""

import shutil

import pytest

from proxyctl.files.trail import watched
from proxyctl.files.watch import Watch
from proxyctl.wakeup import Wakeup

PATIENCE = 30.0


class Bell:
    """A watch over two folders below `etc`, and the doorbell that it rings."""

    def __init__(self, tmp_path):
        self.etc = tmp_path / "etc"
        self.routes = self.etc / "routes.d"
        self.wakeup = Wakeup()
        self.watch = Watch((self.routes, self.etc / "templates"), self.wakeup)

    def rings(self):
        return bool(self.wakeup.wait(PATIENCE))

    def hush(self):
        """Let what is under way ring, so that the next ring is another change's."""
        while self.wakeup.wait(0.7):  # watchdog keeps half a move for 0.5 s
            pass


@pytest.fixture
def bell(tmp_path):
    one = Bell(tmp_path)
    yield one
    one.watch.stop()


def a_file(folder, name="nas.toml", text="x"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


def test_a_file_that_is_changed_made_or_removed_rings(bell):
    file = a_file(bell.routes)
    bell.watch.start()

    for change in (lambda: file.write_text("y"), file.unlink, lambda: a_file(bell.routes, "b")):
        bell.hush()
        change()

        assert bell.rings()


def test_folders_that_are_made_later_ring_and_so_do_their_files(bell):
    bell.watch.start()

    for change in (bell.etc.mkdir, bell.routes.mkdir, lambda: a_file(bell.routes)):
        bell.hush()
        change()

        assert bell.rings()


def test_a_folder_that_is_made_with_its_files_at_once_rings_for_later_changes_too(bell):
    bell.watch.start()
    a_file(bell.etc / "templates", "global.cfg.j2")
    assert bell.rings()
    bell.hush()

    a_file(bell.etc / "templates", "global.cfg.j2", "other")

    assert bell.rings()


def test_a_folder_that_is_removed_and_made_anew_still_rings(bell):
    a_file(bell.routes)
    bell.watch.start()
    for _ in range(3):
        shutil.rmtree(bell.routes)
        a_file(bell.routes)
        assert bell.rings()
        bell.hush()

        a_file(bell.routes, text="later")

        assert bell.rings()
        bell.hush()


def test_a_folder_that_is_replaced_by_a_rename_still_rings(bell, tmp_path):
    a_file(bell.routes)
    bell.watch.start()
    bell.hush()
    a_file(tmp_path / "new" / "routes.d")
    bell.etc.rename(tmp_path / "old")
    (tmp_path / "new").rename(bell.etc)
    assert bell.rings()
    bell.hush()

    a_file(bell.routes, text="later")

    assert bell.rings()


def test_a_link_to_a_folder_rings_when_its_target_changes_and_when_it_leads_elsewhere(
    bell, tmp_path
):
    for name in ("one", "two"):
        a_file(tmp_path / name)
    bell.etc.mkdir()
    bell.routes.symlink_to(tmp_path / "one")
    bell.watch.start()
    bell.hush()
    a_file(tmp_path / "one", text="later")
    assert bell.rings()
    bell.hush()
    _swap(bell.routes, tmp_path / "two")
    assert bell.rings()
    bell.hush()

    a_file(tmp_path / "two", text="later")

    assert bell.rings()


def test_one_link_that_is_swapped_for_all_files_rings(bell):
    """The way of Kubernetes: nas.toml -> ..data/nas.toml, ..data -> ..1."""
    for version in ("..1", "..2"):
        a_file(bell.routes / version)
    (bell.routes / "..data").symlink_to("..1")
    (bell.routes / "nas.toml").symlink_to("..data/nas.toml")
    bell.watch.start()
    bell.hush()
    _swap(bell.routes / "..data", "..2")
    assert bell.rings()
    bell.hush()

    a_file(bell.routes / "..2", text="edited in place")

    assert bell.rings()


def test_a_link_to_nothing_rings_when_there_is_something(bell, tmp_path):
    bell.etc.mkdir()
    bell.routes.symlink_to(tmp_path / "unmounted" / "routes.d")
    bell.watch.start()
    bell.hush()

    a_file(tmp_path / "unmounted" / "routes.d")

    assert bell.rings()


def test_a_file_in_a_folder_of_the_folder_rings(bell):
    """A certificate may be a folder, or a link to certbot's."""
    inside = a_file(bell.routes / "git.test", "fullchain.pem").parent
    elsewhere = a_file(bell.etc / "live", "fullchain.pem").parent
    (bell.routes / "linked").symlink_to(elsewhere)
    bell.watch.start()
    bell.hush()

    for folder in (inside, elsewhere):
        a_file(folder, "fullchain.pem", "renewed")
        assert bell.rings(), folder
        bell.hush()


def test_what_is_beside_the_trail_does_not_ring(bell, tmp_path):
    a_file(bell.routes)
    bell.watch.start()
    bell.hush()

    a_file(tmp_path, "passwd")
    a_file(bell.etc, "config.toml")
    (bell.routes / "nas.toml").read_text()

    assert not bell.wakeup.wait(1.0)


def test_the_trail_of_a_loop_of_links_ends(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")

    found = watched([tmp_path / "a" / "routes.d"])

    assert found[tmp_path] == {"a", "b"}


def _swap(link, target):
    beside = link.with_name("beside")
    beside.symlink_to(target)
    beside.replace(link)
