import json
import os
import stat
import time

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from proxyctl.files import wanted
from proxyctl.files.certificates import Keyring, Places
from proxyctl.state.certificates import DEFAULT, Wanted
from tests.fakes.authority import Authority, new_key, private

CA = Authority()
YEAR = 365 * 86_400.0


class Disk:
    """Folders of a host, and a service on it that can be started again."""

    def __init__(self, folder):
        self.places = Places(
            folder=folder / "certs", state=folder / "state", challenges=folder / "challenges"
        )
        self.places.folder.mkdir()
        self.now = time.time()
        self.start()

    def start(self, *, read_only=False):
        self.keyring = Keyring(self.places, lambda: self.now, read_only=read_only)

    def put(self, name, data, mode=0o600):
        path = self.places.folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(data)
        path.chmod(mode)
        return path

    def read(self):
        """Return names and fingerprints of what is there, as accepted by HAProxy."""
        stock = self.keyring.read()
        self.keyring.accepted(offer.name for offer in stock.offers)
        return {offer.name: offer.pair.fingerprint for offer in stock.offers}

    @property
    def problems(self):
        return [(p.id, p.subject, p.effect) for p in self.keyring.stock.problems]


@pytest.fixture
def disk(tmp_path):
    return Disk(tmp_path)


def separate(*hosts, key_type="ecdsa"):
    key = new_key(key_type)
    return CA.leaf(*hosts, key=key).public_bytes(Encoding.PEM), private(key)


@pytest.mark.parametrize(
    ("certificate", "key"),
    [
        ("a.test.crt", "a.test.key"),
        ("a.test.pem", "a.test-key.pem"),
        ("a.test.pem", "a.test.pem.key"),
        ("a.test.crt.pem", "a.test.key.pem"),
        ("a.test.fullchain.cer", "a.test.privkey.pem"),
        ("a.test/fullchain.pem", "a.test/privkey.pem"),
        ("a.test/fullchain.cer", "a.test/a.test.key"),
        ("a.test/tls.crt", "a.test/tls.key"),
    ],
)
def test_every_layout_that_people_have_is_one_certificate(disk, certificate, key):
    leaf, secret = separate("a.test")
    disk.put(certificate, leaf)
    disk.put(key, secret)

    assert list(disk.read()) == ["a.test"]
    assert disk.problems == []


def test_certbots_folder_with_its_links_is_one_certificate(disk, tmp_path):
    leaf, secret = separate("a.test")
    archive = tmp_path / "live"
    archive.mkdir()
    issuer = CA.issuer.public_bytes(Encoding.PEM)
    for name, data in {
        "cert.pem": leaf, "chain.pem": issuer, "fullchain.pem": leaf + issuer,
        "privkey.pem": secret,
    }.items():  # fmt: skip
        (archive / name).write_bytes(data)
        (archive / name).chmod(0o600)
    (disk.places.folder / "a.test").symlink_to(archive)

    disk.read()

    (one,) = disk.keyring.stock.offers
    assert (one.name, one.pair.chain) == ("a.test", 1)


def test_two_types_of_key_and_a_wildcards_file(disk):
    disk.put("a.rsa.pem", CA.issue("a.test", key_type="rsa"))
    disk.put("a.ecdsa.pem", CA.issue("a.test"))
    disk.put("*.b.test.pem", CA.issue("*.b.test"))
    disk.put("README.txt", b"not ours")
    disk.put("ca/clients.pem", CA.root_pem)

    assert list(disk.read()) == ["_.b.test", "a.ecdsa", "a.rsa"]
    assert disk.problems == []


@pytest.mark.parametrize("again", [False, True])
def test_a_broken_file_leaves_the_old_one_also_after_a_restart(disk, again):
    disk.put("a.pem", CA.issue("a.test"))
    good = disk.read()
    disk.put("a.pem", CA.issue("a.test").replace(b"MII", b"XXX"))
    if again:
        disk.start()

    assert disk.read() == good
    assert disk.problems == [("PX421", 'certificate "a"', "the last good one is served")]

    disk.put("a.pem", CA.issue("a.test"))
    assert disk.read() != good
    assert disk.problems == []


def test_a_key_that_came_before_its_certificate_leaves_the_old_pair(disk):
    for name, data in zip(("a.crt", "a.key"), separate("a.test"), strict=True):
        disk.put(name, data)
    good = disk.read()
    leaf, secret = separate("a.test")

    disk.put("a.key", secret)
    assert disk.read() == good
    disk.put("a.crt", leaf)
    assert disk.read() != good


def test_what_was_removed_does_not_come_back(disk):
    path = disk.put("a.pem", CA.issue("a.test"))
    disk.read()
    path.unlink()
    assert disk.read() == {}

    disk.put("a.pem", b"broken")
    assert disk.read() == {}
    assert disk.problems[0][2] == "it is not served"


def test_a_pipe_a_folder_and_a_giant_are_refused_at_once(disk):
    os.mkfifo(disk.places.folder / "pipe.pem")
    disk.put("giant.pem", b"x" * 300_000)
    disk.put("a b.pem", CA.issue("a.test"))
    (disk.places.folder / "loop.pem").symlink_to("loop.pem")

    assert disk.read() == {}
    assert {subject for _, subject, _ in disk.problems} == {
        f'certificate "{name}"' for name in ("pipe", "giant", "a b", "loop")
    }


def test_a_key_for_everybody_is_a_warning(disk):
    disk.put("a.pem", CA.issue("a.test"), mode=0o644)

    assert list(disk.read()) == ["a"]
    assert [p[0] for p in disk.problems] == ["PX424"]


def test_what_haproxy_refuses_gives_way_to_the_copy(disk):
    disk.put("a.pem", CA.issue("a.test"))
    good = disk.read()
    disk.put("a.pem", CA.issue("a.test"))
    disk.keyring.read()

    stock = disk.keyring.refused("a", "ee key too small")

    assert {o.name: o.pair.fingerprint for o in stock.offers} == good
    assert disk.read() == good
    assert [p[0] for p in disk.problems] == ["PX425"]
    assert disk.keyring.refused("a", "this one too").offers == ()
    assert disk.keyring.refused("b", "unknown") is None


def test_certificates_that_we_make_are_kept_and_made_anew_in_time(disk):
    disk.keyring.read()
    made = {o.name: o.pair for o in disk.keyring.provide(["", "a.test", "*.b.test"]).offers}
    assert list(made) == [DEFAULT, "internal@_.b.test", "internal@a.test"]
    assert made["internal@_.b.test"].names == ("*.b.test",)

    disk.start()
    assert {o.name: o.pair for o in disk.keyring.read().offers} == made

    disk.now += YEAR - 20 * 86_400
    assert disk.keyring.read().offers == ()


def test_nobody_else_can_read_what_we_keep(disk):
    disk.put("a.pem", CA.issue("a.test"))
    disk.read()
    disk.keyring.provide(["x.test"])

    files = [path for path in disk.places.state.rglob("*") if path.is_file()]
    assert len(files) == 2
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_who_only_looks_writes_nothing(disk):
    disk.start(read_only=True)
    disk.put("a.pem", CA.issue("a.test"))

    disk.read()
    disk.keyring.provide(["x.test"])

    assert not disk.places.state.exists()


def test_a_folder_that_cannot_be_read_keeps_what_it_had(disk):
    disk.put("a.pem", CA.issue("a.test"))
    good = disk.read()
    moved = disk.places.folder.rename(disk.places.folder.with_name("moved"))
    disk.places.folder.write_text("not a folder")

    assert disk.read() == good
    assert [p[0] for p in disk.problems] == ["PX421"]
    disk.start()
    assert disk.read() == good
    assert moved.exists()


def test_what_is_wanted_is_written_once_and_whole(disk, tmp_path):
    path = tmp_path / "acme" / "wanted.json"
    one = Wanted(name="a.test", hosts=("a.test", "www.a.test"), route='pod "gitea"')

    assert wanted.write(path, [one])
    assert not wanted.write(path, [one])

    assert json.loads(path.read_text()) == {
        "version": 1,
        "certificates": [
            {"name": "a.test", "hosts": ["a.test", "www.a.test"], "route": 'pod "gitea"'}
        ],
    }
    assert wanted.write(path, [])


def test_a_cas_certificate_and_its_questions_are_read(disk):
    acme = disk.places.state / "acme"
    acme.mkdir(parents=True)
    (acme / "a.test.pem").write_bytes(CA.issue("a.test"))
    disk.places.challenges.mkdir()
    for name, text in {
        "tok_en-1": "tok_en-1.abc_-\n", "bad": "two words", "evil;x": "a.b", "nodot": "abc",
        ".tok.new": "a.b",
    }.items():  # fmt: skip
        (disk.places.challenges / name).write_text(text)

    assert list(disk.read()) == ["acme@a.test"]
    assert disk.keyring.stock.challenges == (("tok_en-1", "tok_en-1.abc_-"),)


def test_a_link_to_a_folder_that_is_away_leaves_the_last_good_one(disk, tmp_path):
    live = tmp_path / "live"
    live.mkdir()
    certificate, key = separate("git.test")
    (live / "fullchain.pem").write_bytes(certificate)
    (live / "privkey.pem").write_bytes(key)
    (disk.places.folder / "git").symlink_to(live)
    before = disk.read()

    live.rename(tmp_path / "away")

    assert disk.read() == before != {}
    assert [number for number, _, _ in disk.problems] == ["PX421"]


def test_a_link_to_a_folder_that_is_away_keeps_every_certificate(disk):
    disk.put("a.test.pem", CA.issue("a.test"))
    there = disk.read()
    elsewhere = disk.places.folder.with_name("elsewhere")
    disk.places.folder.rename(elsewhere)
    disk.places.folder.symlink_to(elsewhere)
    assert disk.read() == there

    elsewhere.rename(elsewhere.with_name("unmounted"))

    assert disk.read() == there
    assert [problem[0] for problem in disk.problems] == ["PX421"]
