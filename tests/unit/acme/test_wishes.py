import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyctl.acme.shelf import Shelf
from proxyctl.acme.wishes import Wish, host_name, parse

GOOD = {"name": "a.test", "hosts": ["a.test"], "route": 'pod "gitea"'}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def read(*entries, version=1):
    return parse(json.dumps({"version": version, "certificates": entries}).encode(), "w.json")


def test_what_the_service_writes_is_understood():
    assert read(GOOD) == ((Wish(name="a.test", hosts=("a.test",), route='pod "gitea"'),), ())


@pytest.mark.parametrize(
    "bad",
    [
        {},
        5,
        {**GOOD, "name": "../../etc/passwd"},
        {**GOOD, "name": "A.test"},
        {**GOOD, "name": ".".join(["a" * 60] * 4)},
        {**GOOD, "hosts": []},
        {**GOOD, "hosts": "a.test"},
        {**GOOD, "hosts": ["a.test"] * 101},
        {**GOOD, "hosts": ["a.test\n"]},
        {**GOOD, "hosts": ["*"]},
        {**GOOD, "hosts": ["a.*.test"]},
        {**GOOD, "hosts": ["-a.test"]},
        {**GOOD, "hosts": ["a_b.test"]},
        {**GOOD, "hosts": ["a..test"]},
        {**GOOD, "hosts": [f"{'a' * 64}.test"]},
        {**GOOD, "hosts": [None]},
    ],
)
def test_a_bad_entry_costs_only_itself(bad):
    wishes, problems = read(bad, {**GOOD, "name": "b.test"})

    assert [wish.name for wish in wishes] == ["b.test"]
    assert [problem.id for problem in problems] == ["PX613"]


def test_the_first_of_two_with_one_name_counts():
    wishes, problems = read(GOOD, {**GOOD, "hosts": ["b.test"]})

    assert (wishes[0].hosts, len(wishes), len(problems)) == (("a.test",), 1, 1)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"version": 1}', "[" * 100_000, "\xff"])
def test_what_is_not_a_list_of_wishes_is_one_problem(text):
    wishes, problems = parse(text.encode("latin-1"), "w.json")

    assert (wishes, [problem.id for problem in problems]) == ((), ["PX613"])


def test_another_version_is_not_guessed_at():
    assert read(GOOD, version=2)[0] == ()


def test_too_many_are_refused():
    assert read(*[GOOD] * 10_001)[0] == ()


@given(JSON)
def test_nothing_makes_it_fall(entry):
    wishes, problems = read(entry)

    assert len(wishes) + len(problems) == 1


@given(st.text(max_size=300))
def test_no_name_leaves_its_folder(text):
    try:
        name = host_name(text)
    except ValueError:
        return

    assert "/" not in name
    assert not name.startswith(".")


def test_a_wildcard_has_a_file_without_a_star(tmp_path):
    shelf = Shelf(tmp_path, tmp_path)

    assert shelf.certificate("*.a.test").name == "_wildcard.a.test.pem"
    assert shelf.certificate("a.test") == tmp_path / "certs/acme/a.test.pem"
