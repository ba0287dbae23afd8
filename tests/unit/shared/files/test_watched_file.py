"""A watched file: whatever is wrong with it, what it held before stays in force and the next change is taken over."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.shared.errors import ConfigurationError
from services.shared.files.watched_file import WatchedFile


@pytest.mark.parametrize("error", [ConfigurationError(["is no list"]), OverflowError("date value out of range")])
def test_any_error_leaves_what_was_known_in_force_and_the_next_change_is_taken_over(
    tmp_path: Path, error: Exception
) -> None:
    path = tmp_path / "keys"
    path.write_text("before")
    file = WatchedFile(path)

    def fail(_: Path) -> str:
        raise error

    _write(path, "wrong", 1)
    assert file.renewed(fail, "keys") is None
    assert file.unreadable == [str(path)]

    _write(path, "after", 2)
    assert file.renewed(Path.read_text, "keys") == "after"
    assert file.unreadable == []


def _write(path: Path, text: str, at: int) -> None:
    path.write_text(text)
    os.utime(path, ns=(at, at))
