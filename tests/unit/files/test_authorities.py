"""The CAs of clients on disk."""

from proxyctl.files.authorities import Authorities
from tests.fakes.keyring import pem

STAFF = pem("staff").decode()
CERTIFICATE = STAFF[STAFF.index("-----BEGIN CERTIFICATE") :]


def test_only_certificates_are_taken_out_of_a_file(tmp_path):
    (tmp_path / "staff.pem").write_text(f"some words\n{STAFF}{CERTIFICATE}")
    (tmp_path / ".staff.pem.new").write_text("half")
    authorities = Authorities(tmp_path)

    authorities.read()

    assert authorities.pems == {"staff": CERTIFICATE * 2}
    assert authorities.problems == ()


def test_a_broken_file_is_told_and_the_last_good_one_stays(tmp_path):
    file = tmp_path / "staff.pem"
    file.write_text(CERTIFICATE)
    authorities = Authorities(tmp_path)
    authorities.read()

    file.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    authorities.read()

    assert authorities.pems == {"staff": CERTIFICATE}
    (problem,) = authorities.problems
    assert (problem.id, problem.subject, problem.where) == ("PX421", 'CA "staff"', str(file))
    assert problem.effect == "clients of the last good one are let in"


def test_a_file_that_never_was_good_lets_nobody_in(tmp_path):
    (tmp_path / "staff.pem").mkdir()
    (tmp_path / "empty.pem").write_text("")
    authorities = Authorities(tmp_path)

    authorities.read()

    assert authorities.pems == {}
    assert {p.effect for p in authorities.problems} == {"its clients are not let in"}
    assert len(authorities.problems) == 2


def test_a_file_that_is_removed_is_forgotten(tmp_path):
    file = tmp_path / "staff.pem"
    file.write_text(CERTIFICATE)
    authorities = Authorities(tmp_path)
    authorities.read()
    file.unlink()

    authorities.read()

    assert (authorities.pems, authorities.problems) == ({}, ())
