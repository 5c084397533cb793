import os
from dataclasses import replace

import pytest

from proxyctl.files import memory, secret, templates
from proxyctl.files.static import StaticSource, entries
from proxyctl.problems import ConfigRejected
from proxyctl.routes.claims import Match
from tests.pipeline import pod, stopped

NAS = '[nas]\nhost = "nas.test"\nserver = "192.0.2.5:5000"\n'


def read(tmp_path, text):
    (tmp_path / "nas.toml").write_text(text)
    source = StaticSource(tmp_path)
    return source, source.read(None)


def test_a_table_is_a_workload_with_labels_and_servers(tmp_path):
    _, (nas,) = read(tmp_path, '[nas]\nhost = "nas.test"\nservers = ["192.0.2.5:5000"]\n')

    assert nas.servers == ("192.0.2.5:5000",)
    assert dict(nas.labels) == {"proxyctl.host": "nas.test", "proxyctl.port": "5000"}
    assert nas.origin.endswith("nas.toml")


def test_toml_types_become_the_texts_of_labels():
    text = {"a": {"host": ["x.test", "y.test"], "port": 80, "compress": True, "server": "::1",
                  "route": {"api": {"path": "/api"}}}}  # fmt: skip

    ((a,), problems) = entries(text, "f")

    assert problems == ()
    assert a.servers == ("[::1]:80",)
    assert dict(a.labels) == {
        "proxyctl.compress": "true",
        "proxyctl.host": "x.test,y.test",
        "proxyctl.port": "80",
        "proxyctl.route.api.path": "/api",
    }


def test_a_bad_table_costs_only_itself():
    good = {"host": "x.test", "server": "127.0.0.1:1"}

    workloads, problems = entries(
        {"a": good, "b": {"server": "nas.local:80"}, "c": 5, "d": {}, "e\n": good}, "f"
    )

    assert [w.name for w in workloads] == ["a"]
    assert [p.id for p in problems] == ["PX403"] * 4


def test_a_file_that_breaks_keeps_its_last_routes(tmp_path):
    source, before = read(tmp_path, '[nas]\nhost = "nas.test"\nserver = "192.0.2.5:5000"\n')
    (tmp_path / "nas.toml").write_text("[nas\n")

    after = source.read(None)

    assert after == before
    assert [p.id for p in source.problems] == ["PX402"]
    assert "stay" in source.problems[0].effect


def test_a_file_that_is_removed_takes_its_routes_along(tmp_path):
    source, _ = read(tmp_path, '[nas]\nhost = "nas.test"\nserver = "192.0.2.5:5000"\n')
    (tmp_path / "nas.toml").unlink()

    assert source.read(None) == ()
    assert source.problems == ()


def test_what_is_remembered_comes_back_within_the_boot_only(tmp_path, monkeypatch):
    a = pod("a", host="a.test", port="1")
    what = memory.Memory(
        served=((Match(entrypoint="web", host="a.test"), "pod//a-id/"),),
        workloads=(("podman:", (a,)),),
        good=(a,),
        templates=(("backend.cfg.j2", "x"),),
    )
    file = tmp_path / "deep" / "memory.json"
    memory.Keeper(file).save(what)

    back = memory.load(file)
    monkeypatch.setattr(memory, "boot_id", lambda: "another")
    later = memory.load(file)

    assert (back.served, back.workloads, back.good) == (what.served, what.workloads, what.good)
    assert later.workloads == ()


def test_a_memory_that_changes_is_what_a_new_one_would_be(tmp_path):
    a, b, c = (pod(name, host=f"{name}.test", port="1") for name in "abc")
    older = replace(b, labels=a.labels)
    file = tmp_path / "memory.json"
    keeper = memory.Keeper(file)
    for told, good in (
        ((a, b), (a, b)),
        ((a, b, c), (a, older, c)),
        ((stopped(a), c), (c, stopped(a))),
        ((), ()),
    ):
        what = memory.Memory(workloads=(("files", ()), ("podman:", told)), good=good)
        keeper.save(what)
        written = file.read_bytes()
        memory.Keeper(file).save(what)
        back = memory.load(file)

        assert written == file.read_bytes()
        assert back.workloads == what.workloads
        assert {w.uid: w for w in back.good} == {w.uid: w for w in good}


def test_a_memory_that_is_the_same_is_not_written_again(tmp_path):
    file = tmp_path / "memory.json"
    keeper = memory.Keeper(file)
    keeper.save(memory.Memory(good=(pod("a"),)))
    before = file.stat().st_ino, file.stat().st_ctime_ns
    keeper.save(memory.Memory(good=(pod("a"),)))

    assert (file.stat().st_ino, file.stat().st_ctime_ns) == before


def test_a_memory_that_could_not_be_written_is_written_later(tmp_path):
    file = tmp_path / "run" / "memory.json"
    keeper = memory.Keeper(file)
    (tmp_path / "run").touch()
    with pytest.raises(OSError, match="exists"):
        keeper.save(memory.Memory(good=(pod("a"),)))
    (tmp_path / "run").unlink()
    keeper.save(memory.Memory(good=(pod("a"),)))

    assert memory.load(file).good == (pod("a"),)


def test_a_damaged_memory_is_forgotten(tmp_path):
    file = tmp_path / "memory.json"
    for text in ("", "{", "[]", '{"workloads": 5}'):
        file.write_text(text)

        assert memory.load(file).workloads == ()


def test_a_secret_is_made_once_and_nobody_else_reads_it(tmp_path):
    file = tmp_path / "state" / "cookie.key"

    first = secret.keep(file)

    assert len(first) == 32
    assert secret.keep(file) == secret.peek(file) == first
    assert file.stat().st_mode & 0o777 == 0o600


def test_own_templates_win_over_the_packaged_ones(tmp_path):
    (tmp_path / "global.cfg.j2").write_text("mine")

    merged = templates.merged(templates.overrides(tmp_path))

    assert merged["global.cfg.j2"] == "mine"
    assert "backend" in merged["backend.cfg.j2"]


def test_a_pipe_among_the_static_routes_is_told_and_holds_nobody(tmp_path):
    os.mkfifo(tmp_path / "pipe.toml")

    source, found = read(tmp_path, NAS)

    assert [w.name for w in found] == ["nas"]
    (problem,) = source.problems
    assert problem.subject.endswith('pipe.toml"')
    assert problem.where.startswith("is a named pipe")
    assert problem.effect == "none of its routes is published"


def test_a_file_without_end_among_the_static_routes_is_told(tmp_path):
    source, (nas,) = read(tmp_path, NAS)
    (tmp_path / "nas.toml").unlink()
    (tmp_path / "nas.toml").symlink_to("/dev/zero")
    (tmp_path / "huge.toml").touch()
    os.truncate(tmp_path / "huge.toml", 1 << 30)

    assert source.read() == (nas,)
    huge, device = source.problems
    assert "is larger than 4 MiB" in huge.where
    assert "is a device" in device.where
    assert "stay" in device.effect


def test_a_folder_of_static_routes_that_cannot_be_seen_keeps_them(tmp_path):
    folder = tmp_path / "routes.d"
    folder.mkdir()
    source, before = read(folder, NAS)
    folder.rename(tmp_path / "away")
    folder.symlink_to("unmounted")

    assert source.read() == before
    assert [p.id for p in source.problems] == ["PX402"]

    folder.unlink()

    assert source.read() == ()
    assert source.problems == ()


def test_a_file_that_stays_broken_from_the_start_has_no_routes_that_stay(tmp_path):
    source, _ = read(tmp_path, "[nas\n")
    source.read()

    assert source.problems[0].effect == "none of its routes is published"


def test_what_editors_keep_beside_a_file_is_no_route(tmp_path):
    (tmp_path / ".#nas.toml").symlink_to("somebody@host.1")

    source, _ = read(tmp_path, NAS)

    assert source.problems == ()


def test_a_template_that_cannot_be_read_is_not_done_without(tmp_path):
    folder = tmp_path / "templates"
    folder.mkdir()
    os.mkfifo(folder / "global.cfg.j2")
    with pytest.raises(ConfigRejected, match=r"global\.cfg\.j2: is a named pipe"):
        templates.overrides(folder)

    folder = tmp_path / "dangling"
    folder.symlink_to("unmounted")
    with pytest.raises(ConfigRejected, match="dangling: is a link to unmounted"):
        templates.overrides(folder)
