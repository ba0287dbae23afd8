"""Files that hold secrets are their owner's, and stay those of whoever reads them."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from stat import S_IMODE

import pytest

from services.cli.local import secret_files
from services.shared.errors import Fatal

NOBODY = 65_534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")


def test_only_its_owner_can_read_a_new_file_in_a_new_folder(tmp_path: Path) -> None:
    secret_files.replace(tmp_path / "new" / "keys.yaml", "k")

    assert (tmp_path / "new" / "keys.yaml").read_text() == "k"
    assert S_IMODE((tmp_path / "new" / "keys.yaml").stat().st_mode) == 0o600


def test_a_file_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    """A group that may read it goes on reading it."""
    file = tmp_path / "keys.yaml"
    file.write_text("old")
    file.chmod(0o640)

    secret_files.replace(file, "new")

    assert file.read_text() == "new"
    assert S_IMODE(file.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [file]


@as_root
def test_a_file_that_root_writes_anew_stays_its_owners(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    file.write_text("old")
    os.chown(file, NOBODY, NOBODY)

    secret_files.replace(file, "new")

    assert file.read_text() == "new"
    assert (file.stat().st_uid, file.stat().st_gid) == (NOBODY, NOBODY)


@as_root
def test_whoever_cannot_leave_it_to_its_owner_does_not_replace_it() -> None:
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "keys.yaml"
        file.write_text("old")
        os.chown(name, NOBODY, NOBODY)
        os.seteuid(NOBODY)
        try:
            with pytest.raises(Fatal, match="is another user's: run this as its owner, or as root"):
                secret_files.replace(file, "new")
        finally:
            os.seteuid(0)

        assert file.read_text() == "old"
        assert list(Path(name).iterdir()) == [file]


def test_the_content_is_on_the_disk_before_the_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "pseudonym.key"
    synced: list[tuple[str, bool]] = []
    monkeypatch.setattr(
        os, "fsync", lambda _: synced.append((file.with_name("pseudonym.key.draft").read_text("utf-8"), file.exists()))
    )

    secret_files.replace(file, "5e" * 32)

    assert synced == [("5e" * 32, False)]
    assert file.read_text("utf-8") == "5e" * 32
