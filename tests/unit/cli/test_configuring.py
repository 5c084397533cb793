import json
from dataclasses import replace

from tests.pipeline import decided, pod
from tests.unit.status import sample


def test_render_prints_the_whole_configuration(ask):
    view = sample.view()

    code, out, _ = ask("render", view=view)

    assert code == 0
    assert out == view.rendered.texts["haproxy.cfg"]


SPARES = (("http", 16), ("sticky", 2), ("tcp", 2))


def test_render_counts_the_spares_unless_all_is_asked_for(ask, tmp_path):
    decision = decided(pod("a", host="a.test", port="80"), spares=SPARES)
    view = replace(sample.view(), rendered=decision.rendered)
    file, whole = tmp_path / "haproxy.cfg", decision.rendered.texts["haproxy.cfg"]

    _, short, _ = ask("render", view=view)
    ask("render", "-o", str(file), view=view)

    assert "# 20 spare backends: proxyctl render --all\n\n# What is loaded" in short
    assert "backend a from" in short
    assert "::spare-" not in short
    assert "::http-pods" in short
    assert len(whole.splitlines()) - len(short.splitlines()) > 60
    assert ask("render", "--all", view=view)[1] == whole
    assert ask("render", "-o", "-", view=view)[1] == whole
    assert file.read_text() == whole


def test_render_of_a_workload_is_its_section_and_its_rows(ask):
    _, out, _ = ask("render", "gitea")

    assert out.startswith('# pod "gitea"\nbackend gitea from ::http-pods\n')
    assert out.endswith("\n# maps/web.http.map\ngit.example.com/ gitea\n")


def test_render_of_nothing_points_to_explain(ask):
    code, out, err = ask("render", "typo")

    assert (code, out) == (1, "")
    assert err == "nothing is rendered for 'typo': proxyctl explain typo\n"


def test_render_writes_a_file_only_when_asked_to(ask, tmp_path):
    view = sample.view()
    file = tmp_path / "haproxy.cfg"

    code, out, _ = ask("render", "-o", str(file), view=view)

    assert (code, out) == (0, "")
    assert file.read_text() == view.rendered.texts["haproxy.cfg"]


def test_render_to_where_nothing_can_be_written_is_told(ask, tmp_path):
    code, _, err = ask("render", "-o", str(tmp_path / "no" / "x"))

    assert code == 1
    assert err.startswith("error: cannot write ")


def test_diff_of_what_is_as_it_should_be_is_0(ask):
    code, out, _ = ask("diff")

    assert (code, out) == (0, "no difference: HAProxy is what the labels ask for\n")


def test_diff_has_sign_what_how_and_cost_and_ends_with_1(ask):
    was = sample.view(pod("a", "10.88.0.2", host="a.test", port="80"))
    view = sample.view(pod("a", "10.88.0.9", host="a.test", port="80"), now=was.running)

    code, out, _ = ask("diff", view=view)

    assert code == 1
    assert "~  a/a    address 10.88.0.9 port 80  runtime\n" in out
    assert out.endswith("without a reload\n")


def test_diff_tells_each_reason_of_a_reload_on_a_line_of_its_own(ask):
    was = sample.view(pod("a", host="a.test", port="80"))
    new = [pod(name, host=f"{name}.test", port="80", compress="on") for name in "ab"]
    view = sample.view(*new, now=was.running)

    _, out, _ = ask("diff", view=view)
    items = json.loads(ask("diff", "--json", view=view)[1])["items"]

    (reasons,) = [item["reasons"] for item in items if item["cost"] == "reload"]
    lines = [line.strip() for line in out.splitlines()]
    first = next(n for n, line in enumerate(lines) if line.startswith("!  reload"))
    assert len(reasons) == 2
    assert [line for line in lines[first + 1 :] if line == reasons[1]]
    assert not [line for line in lines if ";" in line]


def test_diff_that_cannot_see_is_2(proxyctl, config):
    code, _, err = proxyctl("-q", "-c", config.path, "diff")

    assert code == 2
    assert err.startswith("error: cannot compare: podman: ")


def test_a_dry_run_of_apply_is_a_diff(ask):
    code, out, _ = ask("apply", "--dry-run", view=sample.dead())

    assert code == 0
    assert "HAProxy is to be started" in out


def test_bad_settings_are_78_and_list_every_mistake(proxyctl, tmp_path):
    file = tmp_path / "config.toml"
    file.write_text('[haproxy]\nmod = "own"\n[podman]\nresync = -1\n')

    code, _, err = proxyctl("-c", str(file), "ls")

    assert code == 78
    assert "no such key, did you mean 'mode'?" in err
    assert "podman.resync" in err


def test_check_of_the_house_tells_mistakes_and_what_haproxy_says(proxyctl, config):
    config.add('[nas]\nhost = "nas.test"\nservers = ["127.0.0.1:1"]\nbalance = "leastcon"\n')

    code, out, _ = proxyctl("-c", config.path, "check", "--json")

    document = json.loads(out)
    assert code == 1
    assert document["ok"] is False
    assert "PX102" in [item["id"] for item in document["items"]]
