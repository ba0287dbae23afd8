"""`tidemark tail`: whose events, and what is said of each."""

from __future__ import annotations

import io
import secrets
from pathlib import Path

import pytest

from services.cli.commands.tail import in_words, source_of
from services.cli.local.given_key import key_of, new_key_of
from services.ingest.domain.arrivals import Arrival
from services.shared.credentials import digest, id_of
from services.shared.errors import Fatal
from tests.support.keys import entry


def test_a_write_key_and_its_id_stand_for_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "keys.yaml"
    file.write_text(entry("wk", "web"))
    monkeypatch.setenv("TIDEMARK_WRITE_KEYS_FILE", str(file))

    assert source_of("", "wk", tmp_path) == "web"
    assert source_of(id_of(digest("wk")), None, tmp_path) == "web"
    assert source_of("app", None, tmp_path) == "app"
    assert source_of("", None, tmp_path) == ""
    with pytest.raises(Fatal, match="no file of write keys here has the key"):
        source_of("", "other", tmp_path)


@pytest.mark.parametrize("key", ["wk", "tmk_of-another-machine"])
def test_a_write_key_in_the_command_line_is_refused(key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "keys.yaml"
    file.write_text(entry("wk", "web"))
    monkeypatch.setenv("TIDEMARK_WRITE_KEYS_FILE", str(file))

    with pytest.raises(Fatal, match="every user of the machine sees command lines") as told:
        source_of(key, None, tmp_path)
    assert key not in str(told.value)


def test_a_file_of_write_keys_that_cannot_be_read_leaves_the_source_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEMARK_WRITE_KEYS_FILE", str(tmp_path / "missing"))

    assert source_of("web", None, tmp_path) == "web"


def test_a_key_is_read_from_a_file_or_from_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "key"
    file.write_text("wk\n")
    monkeypatch.setattr("sys.stdin", io.StringIO("other\n"))

    assert (key_of(file), key_of(Path("-")), key_of(None)) == ("wk", "other", None)


def test_a_new_key_that_can_be_guessed_is_refused(tmp_path: Path) -> None:
    file, made = tmp_path / "key", secrets.token_urlsafe(16)
    file.write_text("short\n")

    with pytest.raises(Fatal, match=r"5 characters can be guessed.*token_urlsafe"):
        new_key_of(file)

    file.write_text(made)
    assert (new_key_of(file), new_key_of(None)) == (made, None)


@pytest.mark.parametrize("text", ["", "\n", "two keys", "x" * 257])
def test_a_file_that_does_not_hold_one_key_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(text)

    with pytest.raises(Fatal, match="must hold one write key"):
        key_of(tmp_path / "key")
    with pytest.raises(Fatal, match="cannot be read"):
        key_of(tmp_path / "missing")


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
