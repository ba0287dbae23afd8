"""`tidemark tail`: whose events, and what is said of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.cli.commands.tail import in_words, source_of
from services.ingest.domain.arrivals import Arrival
from tests.support.keys import entry


def test_a_write_key_stands_for_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "keys.yaml"
    file.write_text(entry("wk", "web"))
    monkeypatch.setenv("TIDEMARK_WRITE_KEYS_FILE", str(file))

    assert source_of("wk", tmp_path) == "web"
    assert source_of("app", tmp_path) == "app"
    assert source_of("", tmp_path) == ""


def test_a_file_of_write_keys_that_cannot_be_read_leaves_the_source_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEMARK_WRITE_KEYS_FILE", str(tmp_path / "missing"))

    assert source_of("web", tmp_path) == "web"


def test_a_line_says_what_became_of_an_event() -> None:
    at = 1_764_550_923_000
    accepted = Arrival(
        verdict="accepted",
        source="web",
        id="m1",
        at=at,
        kind="track",
        name="Report Shared",
        account="acme",
        via="event",
    )
    rejected = Arrival(verdict="rejected", source="web", id="m2", at=at, code="wrong_type", field="properties")
    staging = Arrival(
        verdict="unattributed", source="web", id="m3", at=at, kind="page", environment="staging", user="u_1"
    )

    assert in_words(accepted).plain == "01:02:03  accepted     track    Report Shared  account acme by event  web  m1"
    assert in_words(rejected).plain == "01:02:03  rejected     wrong_type: properties  web  m2"
    assert in_words(staging).plain.endswith("  user u_1  web, staging  m3")
