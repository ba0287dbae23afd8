"""The tables in docs/engine.md name tests and modules that exist, and every module of the engine."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path


def test_every_test_that_the_document_names_exists(project_root: Path) -> None:
    named = set(re.findall(r"`(test_[a-z_0-9]+)`", (project_root / "docs" / "engine.md").read_text()))
    written = {
        name
        for file in (project_root / "tests").glob("*/engine/test_*.py")
        for name in re.findall(r"def (test_[a-z_0-9]+)\(", file.read_text())
    }

    assert len(named) > 40
    assert named <= written, sorted(named - written)


def test_every_module_of_the_engine_stands_in_the_table_of_the_document(project_root: Path) -> None:
    rows = [
        line.split("|")[1] for line in (project_root / "docs" / "engine.md").read_text().splitlines() if "|" in line
    ]
    named = {name for row in rows for name in re.findall(r"`([a-z_]+\*?\.py)`", row)}
    written = {file.name for file in (project_root / "services" / "shared" / "engine").glob("[!_]*.py")}

    assert sorted(name for name in written if not any(fnmatch(name, pattern) for pattern in named)) == []
    assert sorted(pattern for pattern in named if not any(fnmatch(name, pattern) for name in written)) == []
