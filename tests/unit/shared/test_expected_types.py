"""A value of a wrong type is told in words of YAML and JSON, not in those of a library."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from services.shared.files.expected_types import type_problem_of


@pytest.mark.parametrize(
    ("value", "type_", "path", "detail"),
    [
        ("a", list[str] | None, "", "expected a list, not text"),
        ({"a": [1, "b"]}, dict[str, list[int]], "[...][1]", "expected a whole number, not text"),
        ("a", float, "", "expected a number, not text"),
        ("a", int | float, "", "expected a number, not text"),
        ([1], dict[str, int], "", "expected an object, not a list"),
        ("yes", bool | None, "", "expected true or false, not text"),
        (None, str, "", "expected text, not nothing"),
        (1, None, "", "expected nothing, not a whole number"),
    ],
)
def test_a_wrong_type_is_told_in_plain_words(value: Any, type_: Any, path: str, detail: str) -> None:
    with pytest.raises(msgspec.ValidationError) as raised:
        msgspec.convert(value, type_)

    assert type_problem_of(raised.value) == (path, detail)
