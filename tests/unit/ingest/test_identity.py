"""What is an identifier: compared as it was sent, so never trimmed, and without what nobody can see in a log."""

from __future__ import annotations

from typing import Any

import pytest

from services.ingest.domain.identity import text
from services.shared.errors import Rejected


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("ann", "ann"),
        (" ann ", " ann "),
        (0, "0"),
        (-7, "-7"),
        (None, ""),
        ("", ""),
        (" \u2003\u00a0", ""),
        ("a\u00adb\u200b", "a\u00adb\u200b"),
        ("x" * 9, "x" * 9),
        (10**8, "1" + "0" * 8),
    ],
)
def test_an_identifier_is_taken_as_it_was_sent_and_a_blank_one_is_none(given: Any, taken: str) -> None:
    assert text(given, "userId", 9) == taken


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("x" * 10, "too_long"),
        (10**9, "too_long"),
        (" " * 10, "too_long"),
        (True, "wrong_type"),
        (1.0, "wrong_type"),
        ([], "wrong_type"),
        ("\x00", "control_characters"),
        ("a\x1f", "control_characters"),
        ("a\x7f", "control_characters"),
        ("a\x80", "control_characters"),
        ("a\x9f", "control_characters"),
        ("\n", "control_characters"),
    ],
)
def test_what_is_no_identifier_is_refused_by_its_field(given: Any, code: str) -> None:
    with pytest.raises(Rejected) as refused:
        text(given, "userId", 9)

    assert (refused.value.code, refused.value.field) == (code, "userId")
