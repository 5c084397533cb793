import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from proxyctl.state.pem import Unusable, pairs
from tests.fakes.authority import Authority, new_key, private

CA = Authority()
KEY = new_key()
LEAF = CA.leaf("A.test", "*.a.test", key=KEY).public_bytes(Encoding.PEM)
ISSUER, ROOT = CA.issuer.public_bytes(Encoding.PEM), CA.root_pem


def test_order_does_not_matter_and_what_does_not_belong_is_left_out():
    other = Authority().issue("b.test").split(b"-----END PRIVATE KEY-----\n")[1]

    (one,) = pairs({"a.pem": b"hello\n" + ROOT + ISSUER + other + LEAF + private(KEY)})

    assert one.names == ("*.a.test", "a.test")
    assert one.chain == 1
    assert one.key_type == "ecdsa"
    assert one.pem == (private(KEY) + LEAF + ISSUER).decode()
    assert one.issuer == "CN=test issuer"


def test_several_files_are_read_together():
    files = {"x.crt": LEAF, "x.key": private(KEY), "x.chain.pem": ISSUER, "copy.pem": LEAF}

    assert pairs(files) == pairs({"x.pem": private(KEY) + LEAF + ISSUER})


def test_two_keys_are_two_certificates():
    both = CA.issue("a.test") + CA.issue("a.test", key_type="rsa")

    assert {one.key_type: one.names for one in pairs({"x": both})} == {
        "ecdsa": ("a.test",),
        "rsa": ("a.test",),
    }


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "neither a certificate nor a key"),
        (b"\x00\x01 nonsense", "neither a certificate nor a key"),
        (LEAF, "no key in PEM form"),
        (private(KEY), "no certificate in PEM form"),
        (LEAF + private(new_key()), "not the certificate's"),
        (LEAF.replace(b"M", b"N", 9) + private(KEY), "cannot be read"),
        (LEAF + private(KEY).replace(b"M", b"N", 9), "key that cannot be read"),
        (
            LEAF
            + KEY.private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
            ),
            "passphrase",
        ),
        (
            LEAF
            + KEY.private_bytes(
                Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"secret")
            ),
            "passphrase",
        ),
        (
            private(KEY) + CA.leaf("not a name", key=KEY).public_bytes(Encoding.PEM),
            "for no host name",
        ),
    ],
)
def test_what_is_wrong_is_said_without_the_key(data, why):
    with pytest.raises(Unusable) as wrong:
        pairs({"x.pem": data})

    assert why in wrong.value.why
    assert wrong.value.fix
    assert "PRIVATE" not in wrong.value.why


def test_only_names_that_are_plain_come_out():
    key = new_key()
    leaf = CA.leaf("ok.test", "*", "a b.test", "x\ny.test", "a.*.test", key=key)

    (one,) = pairs({"x": private(key) + leaf.public_bytes(Encoding.PEM)})

    assert one.names == ("ok.test",)


def test_more_names_than_fit_on_a_line_of_haproxys_are_refused():
    names = [f"n{n}.some-long-name-here.example.org" for n in range(2000)]
    with pytest.raises(Unusable, match="more names"):
        pairs({"many.pem": CA.issue(*names)})


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (rsa.generate_private_key(65537, 1024), "1024 bits"),
        (ec.generate_private_key(ec.SECP256K1()), "secp256k1"),
    ],
)
def test_a_key_that_no_client_takes_is_refused(key, why):
    leaf = CA.leaf("x.test", key=key)
    with pytest.raises(Unusable, match=why):
        pairs({"x.pem": private(key) + leaf.public_bytes(Encoding.PEM)})
