"""The units as systemd reads them, offline: no PID 1 is asked, nothing is started."""

import os
import shutil
import subprocess
from configparser import RawConfigParser
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent.parent / "systemd"
UNITS = sorted(FOLDER.glob("*.service"))
STARTERS = sorted(path for kind in ("*.timer", "*.path") for path in FOLDER.glob(kind))
PROGRAMS = ("usr/bin/proxyctl", "usr/sbin/haproxy", "bin/kill", "bin/sh")


def systemd_analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    if program is None and os.environ.get("CI") == "true":
        pytest.fail("systemd-analyze is missing: `make install` as root installs it")
    if program is None:
        pytest.skip("needs systemd-analyze (package systemd)")
    command = [program, *arguments]
    return subprocess.run(
        command, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """Return the root of a file system with our units and the programs that they name."""
    folder = tmp_path / "etc/systemd/system"
    folder.mkdir(parents=True)
    for unit in (*UNITS, *STARTERS):
        shutil.copy(unit, folder)
    for name in PROGRAMS:
        program = tmp_path / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.touch(mode=0o755)
    return tmp_path


def settings(unit: str) -> dict[str, list[str]]:
    """Return the values of each key of a unit's section [Service]."""
    path = next(path for path in UNITS if path.name == unit)
    text = path.read_text().replace("\\\n", " ")
    found: dict[str, list[str]] = {}
    for line in text.partition("[Service]")[2].partition("[Install]")[0].splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def test_there_are_three_units_and_what_starts_one_of_them() -> None:
    services = ["proxyctl-acme.service", "proxyctl-haproxy.service", "proxyctl.service"]

    assert [unit.name for unit in UNITS] == services
    assert {path.stem for path in STARTERS} == {"proxyctl-acme"}


@pytest.mark.parametrize("unit", [*UNITS, *STARTERS], ids=lambda unit: unit.name)
def test_systemd_understands_every_line(unit: Path, host: Path) -> None:
    options = ("--man=no", "--recursive-errors=no", f"--root={host}")

    done = systemd_analyze("verify", *options, unit.name)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_exposure_is_at_most_two(unit: Path) -> None:
    done = systemd_analyze("security", "--offline=true", "--threshold=20", "--no-pager", unit)

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_regular_expressions_may_be_compiled_just_in_time(unit: Path) -> None:
    """`haproxy -c` refuses every configuration with one under MemoryDenyWriteExecute."""
    assert "MemoryDenyWriteExecute" not in settings(unit.name)


def test_stopping_proxyctl_stops_nothing_else() -> None:
    parser = RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    for unit in UNITS:
        parser.read_string(unit.read_text().partition("[Service]")[0])

    assert not {"Requires", "Requisite", "BindsTo", "PartOf"} & set(parser["Unit"])


def test_the_files_of_haproxy_survive_the_end_of_proxyctl() -> None:
    unit = settings("proxyctl.service")

    assert unit["RuntimeDirectoryPreserve"] == ["yes"]
    assert "proxyctl/haproxy" in unit["RuntimeDirectory"][0].split()


def test_haproxy_is_read_from_a_folder_that_a_reboot_empties() -> None:
    words = settings("proxyctl-haproxy.service")["ExecStart"][0].split()

    assert words[words.index("-f") + 1].startswith("/run/")


def test_proxyctl_has_the_group_for_which_the_master_socket_is_open() -> None:
    haproxy = settings("proxyctl-haproxy.service")

    assert settings("proxyctl.service")["Group"] == haproxy["Group"]
    assert "master.sock,mode,660" in haproxy["ExecStart"][0]
    assert haproxy["RuntimeDirectoryMode"] == ["0750"]


def test_who_speaks_to_the_internet_can_open_no_socket_of_podman_or_haproxy() -> None:
    unit = settings("proxyctl-acme.service")

    assert unit["RestrictAddressFamilies"] == ["AF_INET AF_INET6"]
    assert unit["CapabilityBoundingSet"] == [""]


def test_who_gets_certificates_writes_only_what_the_service_reads() -> None:
    unit = settings("proxyctl-acme.service")
    written = [*unit["RuntimeDirectory"], *unit["StateDirectory"]]

    assert " ".join(written).split() == ["proxyctl/acme", "proxyctl/acme", "proxyctl/certs/acme"]
    assert "ReadWritePaths" not in unit
    assert unit["Group"] == settings("proxyctl.service")["Group"]


def test_a_list_that_changes_often_does_not_stop_the_runs() -> None:
    text = (FOLDER / "proxyctl-acme.service").read_text()

    assert "StartLimitIntervalSec=0" in text.partition("[Service]")[0]
