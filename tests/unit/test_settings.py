import os

import pytest

from proxyctl import settings
from proxyctl.problems import SettingsError
from proxyctl.settings import load, parse


def test_a_network_has_no_zone():
    with pytest.raises(SettingsError, match=r"trusted-proxies"):
        parse({"c": '[entrypoints.web]\nbind = [":80"]\ntrusted-proxies = ["fe80::1%a"]'})


def test_every_mistake_is_told_at_once_with_what_was_meant():
    text = '[haproxi]\n[haproxy]\nmode="embeded"\nmastersocket="/x"\n[entrypoints.web]\nbind=["1"]'

    with pytest.raises(SettingsError) as caught:
        parse({"config.toml": text})

    message = str(caught.value)
    assert "did you mean 'haproxy'?" in message
    assert "did you mean 'master-socket'?" in message
    assert "haproxy.mode: expected 'embedded', 'own' or 'attach'" in message
    assert "entrypoints.web.bind.0: expected an address and a port" in message


@pytest.mark.parametrize("bad", ["80", ":0", ":65536", "::1:80", "a b:80", "a:80\\n"])
def test_an_address_to_listen_on_is_checked(bad):
    with pytest.raises(SettingsError):
        parse({"c": f'[entrypoints.web]\nbind=["{bad}"]'})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[entrypoints.web]\nbind = ":80"', 'bind: expected a list of texts: ["…"], got ":80"'),
        ("[entrypoints.web]\nbind = [80]", "web.bind.0: expected a text in quotes, got 80"),
        ("[entrypoints.web]\nbind = []", "web.bind: expected a list that is not empty, got []"),
        ("[entrypoints.web]", "entrypoints.web.bind: this key has to be given"),
        ("[entrypoints.WEB]\nbind = [':80']", "entrypoints.WEB: expected a name of a-z"),
        ("[[entrypoints]]", "entrypoints: expected a table: [entrypoints] with keys below it"),
        ("haproxy = true", "haproxy: expected a table: [haproxy] with keys below it, got true"),
        ("[haproxy]\nmaxconn = 'x'", 'haproxy.maxconn: expected a whole number, got "x"'),
        ("[haproxy]\nmaxconn = 1.5", "haproxy.maxconn: expected a whole number, got 1.5"),
        ("[haproxy]\nmaxconn = -1", "haproxy.maxconn: expected a number of at least 0, got -1"),
        ("[haproxy]\nfrontends = 'maybe'", "frontends: expected true or false, got"),
        ("[haproxy]\nbinary = ''", "haproxy.binary: expected a text that is not empty"),
        ("[haproxy]\nhard-stop-after = '3'", "expected a duration such as 30s, 15m or 1h"),
        ("[haproxy]\nfolder = 'run'", "haproxy.folder: expected a path that begins with /, got"),
        ("[haproxy]\nfolder = '/a b'", "haproxy.folder: expected one word"),
        ("[podman]\nresync = 0", "podman.resync: expected a number greater than 0, got 0"),
        ("[podman]\nresync = 1979-05-27", "expected a number, got 1979-05-27"),
        ("[podman.sockets]\npath = '/x'", "expected a list of tables: [[podman.sockets]]"),
        ("[[podman.sockets]]\npath = 'unix:///x'", "expected a path that begins with /"),
        ("[lists]\noffice = ['office.example.com']", "expected an IP address or a network"),
    ],
)
def test_a_wrong_value_is_told_in_the_words_of_toml(text, told):
    with pytest.raises(SettingsError) as caught:
        parse({"config.toml": text})

    assert told in str(caught.value)
    assert "Input should" not in str(caught.value)


def test_a_file_that_is_not_text_is_named(tmp_path):
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "config.toml").write_text("")
    (tmp_path / "conf.d" / "a.toml").write_bytes(b"[haproxy]\n\xff\xfe")

    with pytest.raises(SettingsError, match=r"conf\.d/a\.toml: is not UTF-8 text \(byte 10\)"):
        load(tmp_path / "config.toml", {})


def test_a_folder_is_no_file_and_a_link_to_nowhere_is_not_taken_for_no_settings(tmp_path):
    link = tmp_path / "config.toml"
    link.symlink_to(tmp_path / "gone")

    for path in (tmp_path, link):
        with pytest.raises(SettingsError, match=str(path)):
            load(path, {})


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


def test_a_link_that_leads_nowhere_is_not_taken_for_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "config_folder", lambda _: tmp_path)
    (tmp_path / "config.toml").symlink_to("moved-away.toml")

    for chosen in (None, tmp_path / "config.toml"):
        with pytest.raises(SettingsError, match=r"config\.toml: is a link to moved-away\.toml,"):
            load(chosen, {})


def test_a_folder_that_leads_nowhere_is_not_taken_for_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "config_folder", lambda _: tmp_path / "etc")
    (tmp_path / "etc").symlink_to("unmounted")

    with pytest.raises(SettingsError, match=r"is below .*/etc, a link to unmounted"):
        load(None, {})


def test_a_loop_of_links_is_not_taken_for_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "config_folder", lambda _: tmp_path)
    (tmp_path / "config.toml").symlink_to("config.toml")

    with pytest.raises(SettingsError, match=r"config\.toml: cannot be read: Too many levels"):
        load(None, {})


def test_only_files_are_read_as_settings(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text("")
    drop_ins = tmp_path / "conf.d"
    drop_ins.mkdir()
    os.mkfifo(drop_ins / "a.toml")

    with pytest.raises(SettingsError, match=r"a\.toml: is a named pipe"):
        load(file, {})
    with pytest.raises(SettingsError, match=r"conf\.d: is a folder"):
        load(drop_ins, {})


def test_what_no_parser_can_swallow_is_told_too():
    for text in ("a = " + "9" * 5000, "a = " + "[" * 10_000):
        with pytest.raises(SettingsError, match=r"config\.toml: "):
            parse({"config.toml": text})


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
        ('client-ca = "../x"\ntls = true', "client-ca: expected a name"),
        ("http3 = true", "http3 needs tls = true and mode http"),
        ('http3 = true\ntls = true\nmode = "tcp"', "http3 needs tls = true and mode http"),
        ("http3 = true\ntls = true\nproxy-protocol = true", "http3 cannot be behind a proxy"),
        (
            'http3 = true\ntls = true\nproxy-protocol = ["192.0.2.0/24"]',
            "http3 cannot be behind a proxy",
        ),
        ('http3 = "maybe"\ntls = true', "http3"),
        ('proxy-protocol = ["a b"]', "proxy-protocol"),
    ],
)
def test_what_does_not_go_together_at_an_entrypoint_is_told(line, message):
    with pytest.raises(SettingsError, match=message):
        parse({"c": f'[entrypoints.x]\nbind=[":1"]\n{line}'})


def test_http3_needs_addresses_that_are_none_of_haproxys_to_find_out():
    words = "tls = true\nhttp3 = true"
    with pytest.raises(SettingsError, match="http3 needs IP addresses in bind"):
        parse({"c": f'[entrypoints.x]\nbind=[":1", "name.test:1"]\n{words}'})

    binds = '[":1", "*:2", "192.0.2.1:3", "[::]:4", "[2001:db8::1]:5"]'
    assert parse({"c": f"[entrypoints.x]\nbind={binds}\n{words}"}).entrypoints["x"].http3 is True
