"""The Java process of the embedded broker."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.shared.kafka.embedded import java


def test_a_broker_that_ends_on_a_full_disk_is_not_said_to_have_a_bad_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(java, "cache_folder", lambda: tmp_path)
    (tmp_path / "kafka.aot").touch()

    assert java.hint("java.io.IOException: No space left on device") == " (the disk is full: make room)"
    assert java.hint("java.lang.LinkageError") == f" (if it goes on, delete {tmp_path}/kafka.aot and run `make setup`)"
