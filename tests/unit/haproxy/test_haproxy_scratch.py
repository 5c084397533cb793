import os
import stat
from multiprocessing import get_context

import pytest

from proxyctl.haproxy.scratch import private_folder, sweep


def test_a_private_folder_is_in_its_place_for_its_owner_and_goes_with_its_files(tmp_path):
    with private_folder(tmp_path) as folder:
        (folder / "haproxy.cfg").write_text("global\n")

        assert folder.parent == tmp_path
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert list(tmp_path.iterdir()) == []


def test_who_may_not_write_there_works_among_the_temporary_files(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    for parent in (None, tmp_path / "missing", "/proc/self"):  # nobody may write in /proc
        with private_folder(parent and tmp_path.__class__(parent)) as folder:
            assert folder.parent == tmp_path


def test_a_sweep_takes_what_a_killed_process_left_and_nothing_else(tmp_path):
    (tmp_path / "memory.json").touch()
    child = get_context("fork").Process(target=_die_within, args=(tmp_path,))
    child.start()
    child.join()
    assert len(list(tmp_path.iterdir())) == 2

    with private_folder(tmp_path) as mine:
        sweep(tmp_path)

        assert {path.name for path in tmp_path.iterdir()} == {"memory.json", mine.name}


def test_a_link_of_that_name_leads_the_sweep_nowhere(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "proxyctl-check-x").symlink_to(outside)

    sweep(tmp_path / "run")

    assert outside.is_dir()


def test_a_mistake_within_is_not_swallowed(tmp_path):
    with pytest.raises(ValueError, match="mine"), private_folder(tmp_path):
        raise ValueError("mine")

    assert list(tmp_path.iterdir()) == []


def _die_within(parent):
    with private_folder(parent) as folder:
        (folder / "haproxy.cfg").touch()
        os._exit(9)
