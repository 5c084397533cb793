import os

import pytest

from proxyctl.cli.lint import lint
from tests.pipeline import settings


@pytest.fixture
def problems(tmp_path):
    """Lint files that are given by name and text, and return id and place of each problem."""

    def run(podman=None, /, **texts):
        files = []
        for name, text in texts.items():
            stem, _, suffix = name.rpartition("_")
            files.append(tmp_path / f"{stem}.{suffix}")
            files[-1].write_text(text)
        found = lint(files, settings(), podman).problems
        return [(p.id, p.where.rpartition(f"{tmp_path}/")[2]) for p in found]

    return run


def test_a_good_file_has_no_problem(problems):
    assert problems(web_container="[Container]\nLabel=proxyctl.host=a.test\n") == []


def test_a_mistake_is_told_with_its_line(problems):
    text = "[Unit]\nDescription=x\n\n[Pod]\n# a comment\nLabel=proxyctl.hots=a.test\n"

    assert problems(gitea_pod=text) == [("PX101", "gitea.pod:6")]


def test_continued_lines_and_several_labels_on_one_are_read(problems):
    text = "[Container]\nLabel=proxyctl.host=a.test \\\n  proxyctl.balance=leastcon\n"

    assert problems(web_container=text) == [("PX102", "web.container:2")]


def test_labels_among_podmans_arguments_count(problems):
    text = "[Pod]\nPodmanArgs=--label=proxyctl.host=a.test --label proxyctl.port=x\n"

    assert problems(web_pod=text) == [("PX102", "web.pod:2")]


def test_an_empty_label_forgets_those_before_it(problems):
    text = "[Container]\nLabel=proxyctl.hots=a\nLabel=\nLabel=proxyctl.host=a.test\n"

    assert problems(web_container=text) == []


def test_a_value_that_quadlet_cuts_at_a_space_is_told(problems):
    label = "proxyctl.header.response.X-Note=two words"
    text = "[Container]\nLabel=proxyctl.host=a.test\nLabel="

    assert problems(web_container=f"{text}{label}\n") == [("PX502", "web.container:3")]
    assert problems(web_container=f'{text}"{label}"\n') == []


def test_a_backslash_is_told(problems):
    text = "[Container]\nLabel=proxyctl.host=a.test\nLabel=proxyctl.header.response.X=a\\b\n"

    assert problems(web_container=text) == [("PX502", "web.container:3")]


def test_drop_ins_are_merged_as_quadlet_does(problems, tmp_path):
    for name, text in {
        "app-web.container.d/20-own.conf": "[Container]\nLabel=proxyctl.hots=a.test\n",
        "app-.container.d/10-prefix.conf": "[Container]\nLabel=proxyctl.balance=x\n",
        "container.d/10-prefix.conf": "[Container]\nLabel=proxyctl.shadowed=1\n",
        "container.d/30-all.conf": "[Container]\n\nLabel=proxyctl.prot=80\n",
        "other.container.d/10.conf": "[Container]\nLabel=proxyctl.other=1\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    found = problems(**{"app-web_container": "[Container]\nLabel=proxyctl.host=a.test\n"})

    assert sorted(found) == [
        ("PX101", "app-web.container.d/20-own.conf:2"),
        ("PX101", "container.d/30-all.conf:3"),
        ("PX102", "app-.container.d/10-prefix.conf:2"),
    ]


def test_a_drop_in_may_publish_a_pod_and_forget_what_the_file_says(problems, tmp_path):
    (tmp_path / "web.pod.d").mkdir()
    dropin = tmp_path / "web.pod.d" / "host.conf"
    dropin.write_text("[Pod]\nLabel=\nLabel=proxyctl.host=a.test\n")

    assert problems(web_pod="[Pod]\nLabel=proxyctl.hots=a.test\n") == []
    dropin.write_bytes(b"\xff")
    assert [number for number, _ in problems(web_pod="[Pod]\n")] == ["PX501"]


def test_labels_of_others_are_not_our_business(problems):
    assert problems(web_container="[Container]\nLabel=app=a b\\c\n") == []


@pytest.mark.parametrize(
    ("podman", "expected"), [((5, 4, 2), ["PX503"]), ((5, 6, 0), []), (None, [])]
)
def test_label_in_a_pod_file_needs_a_podman_that_knows_it(problems, podman, expected):
    found = problems(podman, a_pod="[Pod]\nLabel=proxyctl.host=a.test\n")

    assert [number for number, _ in found] == expected


def test_a_container_of_a_pod_need_not_publish_itself(problems):
    part = "[Container]\nPod=gitea.pod\nLabel=proxyctl.port=3000\n"
    alone = "[Container]\nLabel=proxyctl.port=3000\n"

    assert problems(part_container=part) == []
    assert problems(alone_container=alone) == [("PX104", "alone.container:2")]


def test_a_pod_of_kubernetes_yaml_is_read(problems):
    text = "kind: Pod\nmetadata:\n  name: a\n  labels:\n    app: a\n    proxyctl.helth: /x\n"

    assert problems(a_yaml=text) == [("PX101", "a.yaml:6")]


def test_the_template_of_a_deployment_is_read(problems):
    text = (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec:\n  template:\n"
        "    metadata:\n      labels:\n        proxyctl.host: a b\n"
    )

    assert problems(a_yml=text) == [("PX102", "a.yml:8")]


def test_a_kube_unit_leads_to_its_yaml_once(problems):
    yaml = "kind: Pod\nmetadata:\n  name: a\n  labels:\n    proxyctl.helth: /x\n"

    assert problems(a_yaml=yaml, a_kube="[Kube]\nYaml=a.yaml\n") == [("PX101", "a.yaml:5")]


def test_compose_labels_are_a_mapping_or_a_list(problems):
    text = (
        "services:\n  one:\n    labels:\n      proxyctl.host: one.test\n"
        "      proxyctl.backup: true\n  two:\n    labels:\n      - proxyctl.prot=80\n"
    )

    assert problems(compose_yaml=text) == [("PX101", "compose.yaml:8")]


def test_merged_mappings_of_compose_count(problems):
    text = "x-all: &all\n  proxyctl.hots: a.test\nservices:\n  one:\n    labels:\n      <<: *all\n"

    assert problems(compose_yaml=text) == [("PX101", "compose.yaml:2")]


def test_static_routes_are_read(problems):
    text = '[nas]\nhost = "nas.test"\nservers = ["192.0.2.5:80"]\n\n[nas.health]\nrise = 0\n'
    plain = '[nas]\nhost = "nas.test"\nservers = ["192.0.2.5:80"]\nbalance = "x"\n'

    assert problems(a_toml=plain) == [("PX102", "a.toml:4")]
    assert problems(b_toml=text) == [("PX102", "b.toml:6")]


def test_a_static_route_without_servers_is_not_understood(problems):
    assert [number for number, _ in problems(a_toml='[nas]\nhost = "nas.test"\n')] == ["PX403"]


@pytest.mark.parametrize(
    "texts",
    [{"a_yaml": "a: ["}, {"a_yaml": "x: 1"}, {"a_yaml": ""}, {"a_toml": "[x"}, {"a_txt": ""},
     {"a_kube": "[Kube]\n"}, {"a_kube": "[Kube]\nYaml=none.yaml\n"}],
)  # fmt: skip
def test_what_cannot_be_read_is_a_problem_of_its_own(problems, texts):
    assert [number for number, _ in problems(**texts)] == ["PX501"]


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("deep.yaml", "a: " + "[" * 5000, "nested too deep"),
        ("loop.yaml", "x: &x\n  <<: *x\nkind: Pod\nmetadata: *x\n", "nested too deep"),
        ("deep.toml", "a = " + "[" * 5000, "nested too deep"),
        ("self.kube", "[Kube]\nYaml=self.kube\n", "is no .yaml or .yml"),
        ("odd.yaml", "services: 5\n", "services is no mapping"),
    ],
)
def test_nonsense_in_a_file_is_a_problem_and_no_traceback(tmp_path, name, text, why):
    file = tmp_path / name
    file.write_text(text)

    (problem,) = lint([file], settings()).problems

    assert problem.id == "PX501"
    assert why in problem.where


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.toml")

    (problem,) = lint([tmp_path / "pipe.toml"], settings()).problems

    assert "not a regular file" in problem.where


def test_two_files_that_ask_for_the_same_are_told_before_they_are_deployed(problems):
    label = "[Container]\nLabel=proxyctl.host=a.test\n"

    assert [number for number, _ in problems(a_container=label, b_container=label)] == ["PX204"]


def test_the_verdict_is_the_exit_code_and_strict_counts_warnings(proxyctl, config, tmp_path):
    good, warned = tmp_path / "good.container", tmp_path / "warned.container"
    good.write_text("[Container]\nLabel=proxyctl.host=a.test\n")
    warned.write_text("[Container]\nLabel=proxyctl.port=80\n")

    assert proxyctl("-c", config.path, "check", str(good))[:2] == (
        0,
        f"ok: 1 workload in {good}; 0 errors, 0 warnings\n",
    )
    assert proxyctl("-c", config.path, "check", str(warned))[0] == 0
    assert proxyctl("-c", config.path, "check", "--strict", str(warned))[0] == 1
