import pytest

from proxyctl.acme import keys
from tests.unit.acme.certificates import DAY, NOW, certificate


@pytest.mark.parametrize("kind", ["ec256", "rsa2048"])
def test_a_key_comes_back_from_its_file(kind):
    key = keys.new_key(kind)

    assert keys.load_key(keys.key_pem(key)).public_key() == key.public_key()


@pytest.mark.parametrize("pem", [b"", b"-----BEGIN PRIVATE KEY-----\n", b"\xff\x00"])
def test_what_is_no_key_is_told(pem):
    with pytest.raises(ValueError):
        keys.load_key(pem)


def test_a_certificate_is_called_as_in_the_example_of_rfc_9773():
    authority = bytes.fromhex("69885b6b87464041e1b37b847ba0ae2cde01c8d4")
    pem = certificate(keys.new_key("ec256"), serial=0x87654321, authority=authority)

    assert keys.renewal_id(pem) == "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"


def test_a_certificate_without_its_authority_cannot_be_called():
    assert keys.renewal_id(certificate(keys.new_key("ec256"))) == ""


def test_what_is_held_is_read_from_the_file_with_the_key_before_it():
    key = keys.new_key("ec256")
    found = keys.held(keys.key_pem(key) + certificate(key, "a.test", "*.a.test", serial=0xAB))

    assert found is not None
    assert (found.serial, found.hosts) == ("ab", {"a.test", "*.a.test"})
    assert (found.not_before, found.not_after) == (NOW - DAY, NOW + 89 * DAY)


@pytest.mark.parametrize("pem", [None, b"", b"garbage", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_what_is_not_usable_is_not_held(pem):
    assert keys.held(pem) is None


def test_a_new_certificate_that_fits_has_no_flaw():
    key = keys.new_key("ec256")

    assert keys.flaw(certificate(key, "a.test", "b.test"), key, ("a.test",), NOW) == ""


def test_what_cannot_be_used_says_why():
    key = keys.new_key("ec256")
    good = certificate(key, "a.test")

    assert "another key" in keys.flaw(good, keys.new_key("ec256"), ("a.test",), NOW)
    assert "lacks b.test" in keys.flaw(good, key, ("a.test", "b.test"), NOW)
    assert "ended" in keys.flaw(good, key, ("a.test",), NOW + 90 * DAY)
    assert "not a certificate" in keys.flaw(b"<html>", key, ("a.test",), NOW)
