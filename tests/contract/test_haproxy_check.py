"""What `haproxy -c` says about a configuration, before it is written."""

from dataclasses import replace
from pathlib import Path

import pytest
from real_haproxy import BINARY, Lab

from proxyctl.haproxy.proxy import HAProxy
from proxyctl.haproxy.validate import check
from proxyctl.problems import ConfigRejected, HAProxyUnavailable

pytestmark = pytest.mark.contract


def test_a_good_configuration_passes_and_nothing_is_written(tmp_path):
    one = Lab(tmp_path)
    one.proxy.check(one.texts())

    assert list(tmp_path.iterdir()) == []


def test_mistakes_have_the_lines_of_our_file(tmp_path):
    one = Lab(tmp_path)
    texts = one.texts("\nbackend a\n    balanse random\n\nbackend b\n    nonsense\n")
    lines = texts["haproxy.cfg"].splitlines()
    with pytest.raises(ConfigRejected) as refused:
        one.proxy.check(texts)

    numbers = [lines.index(text) + 1 for text in ("    balanse random", "    nonsense")]
    assert [line for line, _ in refused.value.alerts] == numbers
    assert not any("/tmp" in text or "[" in text for _, text in refused.value.alerts)


def test_mistakes_that_are_found_late_have_their_lines_too(tmp_path):
    one = Lab(tmp_path)
    texts = one.texts("\nfrontend x\n    bind 127.0.0.1:1\n    default_backend nowhere\n")
    with pytest.raises(ConfigRejected) as refused:
        one.proxy.check(texts)

    assert any("nowhere" in text for _, text in refused.value.alerts)


def test_a_map_that_is_missing_is_a_mistake(tmp_path):
    one = Lab(tmp_path)
    texts = one.texts()
    del texts["maps/web.map"]
    with pytest.raises(ConfigRejected, match=r"maps/web\.map"):
        one.proxy.check(texts)


def test_the_files_before_ours_are_read_and_their_mistakes_have_no_line_of_ours(tmp_path):
    one = Lab(tmp_path)
    before = Path(tmp_path, "before.cfg")
    before.write_text("global\n    maxconn 100\n")
    HAProxy(one.layout, binary=BINARY, before=(before,)).check(one.texts())
    before.write_text("global\n    nonsense\n")
    with pytest.raises(ConfigRejected) as refused:
        HAProxy(one.layout, binary=BINARY, before=(before,)).check(one.texts())

    assert refused.value.alerts[0][0] is None
    assert f"{before}:2" in refused.value.alerts[0][1]


def test_without_a_haproxy_nothing_is_said_about_the_configuration(tmp_path):
    with pytest.raises(HAProxyUnavailable, match="no-such-haproxy"):
        check(Lab(tmp_path).texts(), binary="no-such-haproxy")


def test_an_impatient_check_is_not_a_verdict(tmp_path):
    with pytest.raises(HAProxyUnavailable):
        check(Lab(tmp_path).texts(), binary=BINARY, timeout=0.001)


def test_a_check_works_in_the_folder_for_it_and_leaves_nothing_there(tmp_path):
    one = Lab(tmp_path)
    scratch = tmp_path / "run"
    scratch.mkdir()
    layout = replace(one.layout, scratch=scratch)
    texts = one.texts("\nbackend b\n    nonsense\n")
    witness = tmp_path / "haproxy"
    witness.write_text(f'#!/bin/sh\nls {scratch} >{tmp_path}/seen\nexec {BINARY} "$@"\n')
    witness.chmod(0o700)
    with pytest.raises(ConfigRejected, match="nonsense"):
        check(texts, binary=str(witness), layout=layout)

    assert (tmp_path / "seen").read_text().startswith("proxyctl-check-")
    assert list(scratch.iterdir()) == []


def test_backends_alone_pass_beside_files_that_may_listen(tmp_path):
    one = Lab(tmp_path)
    before = Path(tmp_path, "before.cfg")
    before.write_text("defaults\n    mode http\n")
    texts = one.texts(config="backend gitea\n    server one 127.0.0.1:{one}\n")

    HAProxy(one.layout, binary=BINARY, before=(before,)).check(texts)
    HAProxy(one.layout, binary=BINARY, before=()).check(texts)


def test_a_whole_configuration_that_listens_nowhere_is_refused_with_the_reason(tmp_path):
    one = Lab(tmp_path)
    texts = one.texts(config="backend gitea\n    server one 127.0.0.1:{one}\n")
    with pytest.raises(ConfigRejected, match="nothing listens"):
        one.proxy.check(texts)
