"""The unit that docs/operating.md installs is one that systemd takes, and says what Tidemark's documents say."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from services.cli.commands.services import SERVICES
from services.cli.pages.settings import page
from services.shared import exit_status
from tests.support import clients, systemd

_TARGETS = ("sysinit", "basic", "shutdown", "network-online", "multi-user")


def test_systemd_finds_nothing_wrong_with_it(tmp_path: Path) -> None:
    """It passes over a key that it does not know with status 0 and a word on it."""
    analyze = clients.systemd_analyze()
    units, program = tmp_path / "etc/systemd/system", tmp_path / systemd.PROGRAM[1:] / "bin/tidemark"
    units.mkdir(parents=True)
    program.parent.mkdir(parents=True)
    shutil.copy(systemd.UNIT, units)
    for name in _TARGETS:
        (units / f"{name}.target").write_text("[Unit]\nDefaultDependencies=no\n")
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)

    said = [
        subprocess.run(
            [analyze, "verify", f"--root={tmp_path}", "--man=no", f"tidemark@{service}.service"],
            capture_output=True, text=True, timeout=60, check=False,
        )
        for service in SERVICES
    ]  # fmt: skip

    assert [(each.returncode, each.stderr) for each in said] == [(0, "")] * len(SERVICES)


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
