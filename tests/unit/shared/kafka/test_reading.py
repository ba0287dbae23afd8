"""What is read off the log by tools: what nobody can read is passed over, what only a newer version can read is not."""

from __future__ import annotations

import pytest

from schemas import codec
from services.shared.errors import UnknownVersion
from services.shared.kafka.reading import decoded


def test_damage_is_passed_over() -> None:
    assert decoded(b"junk") == decoded(None) == ("", {})


def test_a_record_of_a_newer_version_is_not_passed_over() -> None:
    with pytest.raises(UnknownVersion, match="install the one that wrote it"):
        decoded(b"\x00\x00\x00\x00\xff newer")


def test_a_record_is_read() -> None:
    assert decoded(codec.encoder("tick")({"at": 3}))[0] == "tick"
