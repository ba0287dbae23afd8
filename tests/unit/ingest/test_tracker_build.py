"""The built tracker is what its source makes, and small."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

from tests.support.clients import NODE_FOLDER, node_package

BUDGET_BYTES = 3_000


def _run(script: str) -> subprocess.CompletedProcess[bytes]:
    """Run a script of tests/node/package.json, as npm would."""
    command = json.loads((NODE_FOLDER / "package.json").read_text())["scripts"][script]
    path = f"{NODE_FOLDER / 'node_modules/.bin'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(  # the caller says what a failure means
        ["sh", "-c", command],
        check=False,
        cwd=NODE_FOLDER,
        env={**os.environ, "PATH": path},
        capture_output=True,
        timeout=60,
    )


def test_the_committed_build_is_what_the_source_makes(project_root: Path) -> None:
    """`make tracker` writes it; nobody needs Node to run Tidemark."""
    node_package("esbuild")

    made = _run("build-tracker")

    assert made.returncode == 0, made.stderr.decode()
    assert made.stdout == (project_root / "services/ingest/tracker/t.js").read_bytes()


def test_the_source_passes_the_type_check() -> None:
    node_package("typescript")

    checked = _run("check-tracker")

    assert checked.returncode == 0, checked.stdout.decode()


def test_the_tracker_takes_less_than_three_kilobytes(project_root: Path) -> None:
    """What a visitor's browser loads, as `gzip -9` packs it."""
    built = (project_root / "services/ingest/tracker/t.js").read_bytes()

    assert len(gzip.compress(built, 9, mtime=0)) < BUDGET_BYTES


def test_the_tracker_says_the_version_of_the_package(project_root: Path) -> None:
    version = tomllib.loads((project_root / "pyproject.toml").read_text())["project"]["version"]
    built = (project_root / "services/ingest/tracker/t.js").read_text()

    assert re.findall(r'"name":"tidemark\.js","version":"([^"]+)"', built) == [version]


def test_a_wheel_has_the_built_tracker(project_root: Path, tmp_path: Path) -> None:
    """Who installs Tidemark from a package serves it too."""
    command = (sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path))
    subprocess.run(command, cwd=project_root, check=True, capture_output=True, timeout=60)

    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as content:
        packed = content.read("services/ingest/tracker/t.js")
    assert packed == (project_root / "services/ingest/tracker/t.js").read_bytes()
