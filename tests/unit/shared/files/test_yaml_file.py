"""Files that people write in YAML: whatever is wrong is told with its line, and without quoting a secret."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.shared.files.yaml_file import parse_yaml


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\nb: 2026-02-30", "line 2, column 4: this is no date or time: correct it, or put it in quotes"),
        ("a: 2026-01-01T99:00:00Z", "line 1, column 4: this is no date or time"),
        ("a: !!timestamp soon", "line 1, column 4: this is no date or time"),
        ("a: !!int ''", "line 1, column 4: this is no int"),
        ("a: !!float x", "line 1, column 4: this is no float"),
        ("a: !!bool maybe", "line 1, column 4: this is no bool"),
        ("!!map [1]", "line 1, column 1: expected a mapping node"),
    ],
)
def test_a_value_that_yaml_takes_for_another_kind_is_told_with_its_line(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_yaml(text)


@pytest.mark.parametrize("text", ["a: !s3cr3t", "- !s3cr3t {a: 1}", "a: !<s3cr3t> x", "a: !!python/name:s3cr3t"])
def test_a_secret_that_begins_with_an_exclamation_mark_is_not_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="put a value that begins with ! in quotes") as refused:
        parse_yaml(text)

    assert "s3cr3t" not in str(refused.value)


def test_a_value_that_begins_with_an_exclamation_mark_is_text_in_quotes() -> None:
    assert parse_yaml('a: "!s3cr3t"') == {"a": "!s3cr3t"}


@given(
    st.text(st.sampled_from("ab:-!&*?|>[]{}'\"#%@\n 0129.TZ+_~<,="), max_size=30)
    | st.sampled_from(
        ["timestamp", "int", "float", "bool", "binary", "map", "seq", "set", "omap", "pairs", "null"]
    ).flatmap(
        lambda kind: st.sampled_from(["x", "[x]", "{x: 1}", "''", "1", "-", "0b2", "9:99"]).map(f"a: !!{kind} ".__add__)
    )
)
@example("? !!timestamp x\n: 2")
@example("<<: 3")
def test_any_text_is_read_or_refused_with_a_value_error(text: str) -> None:
    told = "not YAML: "
    try:
        parse_yaml(text)
    except ValueError as refused:
        told = str(refused)

    assert told.startswith("not YAML: ")
