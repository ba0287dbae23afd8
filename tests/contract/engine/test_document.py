"""The table of rules in docs/engine.md names tests that exist."""

from __future__ import annotations

import re
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
