"""Write keys are made by the tool and read by ingest."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.cli.local import write_keys
from services.ingest.keys import read as read_as_ingest
from services.shared.errors import Fatal


def test_a_new_key_is_one_that_ingest_reads(tmp_path: Path) -> None:
    """Both sides agree on the file."""
    file = tmp_path / "new" / "write-keys.yaml"

    web = write_keys.add(file, "web", "production")
    staging = write_keys.add(file, "web-staging", "staging")
    history = write_keys.add(file, "import", "production", backfill=True)

    known = read_as_ingest(file)
    assert known[web].source == "web"
    assert known[staging].environment == "staging"
    assert [key for key in known if known[key].backfill] == [history]
    assert write_keys.key_of(file, "import", backfill=True) == history


def test_a_key_is_added_only_once(tmp_path: Path) -> None:
    """A second owner of a key could not be told from the first."""
    write_keys.add(tmp_path / "keys.yaml", "web", "production", write_key="k")

    with pytest.raises(Fatal, match="already"):
        write_keys.add(tmp_path / "keys.yaml", "app", "production", write_key="k")


@pytest.mark.parametrize("source", ["", "two words", "x" * 65, "ü"])
def test_a_source_that_records_cannot_carry_is_refused(tmp_path: Path, source: str) -> None:
    """Names of sources are labels of metrics too."""
    with pytest.raises(Fatal, match="the source"):
        write_keys.add(tmp_path / "keys.yaml", source, "production")


def test_only_its_owner_can_read_the_file(tmp_path: Path) -> None:
    """It holds secrets."""
    write_keys.add(tmp_path / "keys.yaml", "web", "production")

    assert (tmp_path / "keys.yaml").stat().st_mode & 0o077 == 0
