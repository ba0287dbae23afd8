"""The unit that docs/operating.md installs is one that systemd takes, and says what Tidemark's documents say."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from services.cli.commands.services import SERVICES
from services.cli.pages.settings import page
from services.shared import exit_status
from tests.support import clients, systemd

_TARGETS = ("sysinit", "basic", "shutdown", "network-online", "multi-user")


def unpacked(root: Path) -> Path:
    """Install the unit, and what it needs to be verified, below a folder; return where units are."""
    units, program = root / "etc/systemd/system", root / systemd.PROGRAM[1:] / "bin/tidemark"
    units.mkdir(parents=True)
    program.parent.mkdir(parents=True)
    shutil.copy(systemd.UNIT, units)
    for name in _TARGETS:
        (units / f"{name}.target").write_text("[Unit]\nDefaultDependencies=no\n")
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return units


def verify(root: Path, unit: str) -> tuple[int, str]:
    """Return what systemd says about a unit below a folder."""
    said = subprocess.run(
        [clients.systemd_analyze(), "verify", f"--root={root}", "--man=no", unit],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return said.returncode, said.stderr


def test_systemd_finds_nothing_wrong_with_it(tmp_path: Path) -> None:
    """It passes over a key that it does not know with status 0 and a word on it."""
    units = unpacked(tmp_path)

    assert [verify(tmp_path, f"tidemark@{service}.service") for service in SERVICES] == [(0, "")] * len(SERVICES)

    folder = units / "tidemark@scorer-1.service.d"
    folder.mkdir()
    shutil.copy(systemd.FOLDER / "second-scorer.conf", folder)
    assert verify(tmp_path, "tidemark@scorer-1.service") == (0, "")


def test_a_second_process_reads_the_settings_of_its_service_and_has_a_slot() -> None:
    lines = (systemd.FOLDER / "second-scorer.conf").read_text("utf-8").splitlines()
    command = systemd.values("ExecStart")[0].replace("%i", "scorer")
    settings = systemd.values("EnvironmentFile")[-1].replace("%i", "scorer")

    # systemd runs what the unit says as well, unless an empty line takes it back first
    assert [line for line in lines if line.startswith("ExecStart")] == ["ExecStart=", f"ExecStart={command}"]
    assert {f"EnvironmentFile={settings}", "Environment=TIDEMARK_SLOT=1"} <= set(lines)


def test_systemd_rates_its_isolation_as_good(tmp_path: Path) -> None:
    rated = subprocess.run(
        [clients.systemd_analyze(), "security", "--offline=true", "--no-pager", "--threshold=20", str(systemd.UNIT)],
        capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path,
    )  # fmt: skip

    assert rated.returncode == 0, rated.stdout[-2000:] + rated.stderr


def test_its_filter_of_system_calls_refuses_what_no_service_needs(tmp_path: Path) -> None:
    """`tests/e2e/cli/test_installed.py` runs all services under it."""
    clients.systemd_analyze()
    own = str(os.getuid())
    said = [
        subprocess.run([*systemd.filtered(), *command], capture_output=True, text=True, timeout=60, check=False).stderr
        for command in (["nice", "true"], ["chown", own, str(tmp_path)])  # anyone may give a file to its owner
    ]

    assert said == ["", f"chown: changing ownership of '{tmp_path}': Operation not permitted\n"]
    assert systemd.values("SystemCallErrorNumber") == ["EPERM"]


def test_it_leaves_alone_what_a_new_process_cannot_mend() -> None:
    left = {int(status) for status in systemd.values("RestartPreventExitStatus")[0].split()}

    assert left == {exit_status.WRONG_SETTINGS, exit_status.REFUSED}
    assert systemd.values("Restart") == ["on-failure"]


def test_its_environment_names_only_settings_that_exist() -> None:
    known = set(re.findall(r"^\| `([A-Z][A-Z_]+)` \|", page(), re.MULTILINE))
    own = {each.split("=", 1)[0] for each in systemd.values("Environment")}

    assert (systemd.variables().keys() | own) - known == set()


def test_no_secret_is_set_in_it() -> None:
    """An example that works is one that somebody keeps."""
    secrets = {name: value for name, value in systemd.variables().items() if re.search(r"PASSWORD|PSEUDONYM", name)}

    assert secrets == dict.fromkeys(secrets, "")
    assert len(secrets) == 2
