"""The unit of a service in `deploy/systemd`, as far as a test reads it; where there is no systemd it runs what the unit says."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "deploy/systemd"
UNIT = FOLDER / "tidemark@.service"
PROGRAM = "/opt/tidemark"
STATE = "/var/lib/tidemark"


def values(name: str) -> list[str]:
    """Return the values of a key of the unit, in their order."""
    lines = UNIT.read_text("utf-8").splitlines()
    return [line.removeprefix(f"{name}=") for line in lines if line.startswith(f"{name}=")]


def variables(file: Path = FOLDER / "tidemark.env") -> dict[str, str]:
    """Return what a file of environment variables sets."""
    lines = [line for line in file.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def filtered() -> list[str]:
    """Return what stands before a command to run it under the unit's filter of system calls; nothing where there is no systemd."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:  # tests/contract/deploy/test_systemd.py says so
        return []
    allowed: set[str] = set()
    for value in values("SystemCallFilter"):  # the first says what is allowed
        named = set().union(*(_calls(analyze, group) for group in value.removeprefix("~").split()))
        allowed = allowed - named if value.startswith("~") else allowed | named
    return [sys.executable, str(Path(__file__).with_name("call_filter.py")), ",".join(sorted(allowed))]


def _calls(analyze: str, group: str) -> set[str]:
    """Return the system calls of a group, those of the groups in it too."""
    if not group.startswith("@"):
        return {group}
    told = subprocess.run(
        [analyze, "syscall-filter", "--no-pager", group], capture_output=True, text=True, check=True
    ).stdout
    words = [line.strip() for line in told.splitlines()[1:]]
    return set().union(*(_calls(analyze, word) for word in words if word and not word.startswith("#")))
