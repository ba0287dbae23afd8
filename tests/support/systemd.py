"""The unit of a service in `deploy/systemd`, as far as a test reads it; where there is no systemd it runs what the unit says."""

from __future__ import annotations

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
