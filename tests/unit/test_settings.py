import pytest

from proxyctl import settings
from proxyctl.problems import SettingsError
from proxyctl.settings import load, parse


def test_every_mistake_is_told_at_once_with_what_was_meant():
    text = '[haproxi]\n[haproxy]\nmode="embeded"\nmastersocket="/x"\n[entrypoints.web]\nbind=["1"]'

    with pytest.raises(SettingsError) as caught:
        parse({"config.toml": text})

    message = str(caught.value)
    assert "did you mean 'haproxy'?" in message
    assert "did you mean 'master-socket'?" in message
    assert "haproxy.mode: Input should be 'embedded', 'own' or 'attach'" in message
    assert "entrypoints.web.bind.0: expected an address and a port" in message


@pytest.mark.parametrize("bad", ["80", ":0", ":65536", "::1:80", "a b:80", "a:80\\n"])
def test_an_address_to_listen_on_is_checked(bad):
    with pytest.raises(SettingsError):
        parse({"c": f'[entrypoints.web]\nbind=["{bad}"]'})


def test_what_is_not_toml_is_told_with_its_line():
    with pytest.raises(SettingsError, match=r"config\.toml: .*line 1"):
        parse({"config.toml": "[haproxy\n"})


def test_drop_ins_are_merged_and_the_last_wins():
    both = parse({"a": '[haproxy]\nmode="own"\nmaxconn=5', "b": '[haproxy]\nmode="attach"'})

    assert (both.haproxy.mode, both.haproxy.maxconn) == ("attach", 5)


def test_two_sockets_need_names():
    with pytest.raises(SettingsError, match="name of its own"):
        parse({"c": '[[podman.sockets]]\npath="/a"\n[[podman.sockets]]\npath="/b"'})


def test_without_a_file_haproxy_is_embedded_on_a_high_port(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "config_folder", lambda _: tmp_path)

    found = load(None, {"CONTAINER_HOST": "unix:///tmp/p.sock"})

    assert found.haproxy.mode == "embedded"
    assert found.entrypoints["web"].bind[0] == ":8080"
    assert found.podman.sockets[0].path == "/tmp/p.sock"


def test_an_empty_file_means_the_gateway_of_a_host(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text("")

    found = load(file, {"CONTAINER_HOST": "unix:///tmp/p.sock"})

    assert found.haproxy.mode == "own"
    assert found.entrypoints["web"].bind[0] == ":80"


def test_a_file_that_was_asked_for_has_to_exist(tmp_path):
    with pytest.raises(SettingsError, match="no such file"):
        load(tmp_path / "config.toml", {})


def test_a_remote_podman_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="unix"):
        load(None, {"CONTAINER_HOST": "tcp://1.2.3.4:8080"})


def test_an_empty_file_means_https_too(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text("")

    found = load(file, {"CONTAINER_HOST": "unix:///tmp/p.sock"}).entrypoints

    assert (found["websecure"].port, found["websecure"].tls) == (443, True)
    assert not found["web"].tls


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('client-ca = "staff"', "client-ca needs tls = true"),
        ("passthrough = true", "passthrough needs tls = true"),
        ('tls = true\nmode = "tcp"\npassthrough = true', "passthrough needs tls = true"),
        ('client-ca = "../x"\ntls = true', "client-ca: String should match"),
        ('proxy-protocol = ["a b"]', "proxy-protocol"),
    ],
)
def test_what_does_not_go_together_at_an_entrypoint_is_told(line, message):
    with pytest.raises(SettingsError, match=message):
        parse({"c": f'[entrypoints.x]\nbind=[":1"]\n{line}'})
