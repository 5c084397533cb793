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


def test_without_a_table_acme_no_ca_is_asked():
    assert parse({"c": ""}).acme is None


def test_a_table_acme_means_lets_encrypt_by_http():
    acme = parse({"c": "[acme]\nterms-agreed = true"}).acme

    assert (acme.url, acme.challenge) == (settings.LETS_ENCRYPT, "http-01")
    assert parse({"c": "[acme]\nstaging = true"}).acme.url == settings.LETS_ENCRYPT_STAGING


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('challenge = "tls-alpn-01"', "'http-01' or 'dns-01'"),
        ('challenge = "dns-01"', "expected a program that sets DNS records"),
        ('hook = "relative"', "hook"),
        ('staging = true\ndirectory = "https://ca.test/dir"', "leave out either"),
        ('directory = "ca.test"', "directory"),
        ('eab-kid = "k"', "go together"),
        ('email = "mailto:ann@example.com?to=bob@example.com"', "email"),
        ('check-address = "localhost"', "expected an address and a port"),
        ("term-agreed = true", "did you mean 'terms-agreed'?"),
    ],
)
def test_a_mistake_below_acme_is_told(text, told):
    with pytest.raises(SettingsError, match=told.replace("?", r"\?")):
        parse({"c": f"[acme]\n{text}"})
