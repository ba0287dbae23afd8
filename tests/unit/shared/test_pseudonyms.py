"""Pseudonyms: the same for the same id and key, and of no use without the key."""

from __future__ import annotations

import re

import pytest

from services.shared.pseudonyms import KEY_BYTES, KnownPseudonyms, Pseudonyms, read_key

KEY = bytes(range(KEY_BYTES))


def test_an_id_has_one_pseudonym_for_each_key() -> None:
    assert Pseudonyms(KEY).of("ann") == Pseudonyms(KEY).of("ann") == "u_MxvzOxei9PBU2tb5M3GU"
    assert Pseudonyms(KEY).of("ann") != Pseudonyms(KEY).of("bob")
    assert Pseudonyms(KEY).of("ann") != Pseudonyms(bytes(KEY_BYTES)).of("ann")


def test_a_pseudonym_shows_nothing_of_its_id() -> None:
    found = {Pseudonyms(KEY).of(f"ann{number}@acme.example") for number in range(1_000)}

    assert len(found) == 1_000
    assert all(re.fullmatch(r"u_[A-Za-z0-9_-]{20}", each) for each in found)


def test_nobody_has_no_pseudonym() -> None:
    assert Pseudonyms(KEY).of("") == ""


def test_the_fingerprint_tells_keys_apart_and_is_no_part_of_them() -> None:
    assert Pseudonyms(KEY).fingerprint != Pseudonyms(bytes(KEY_BYTES)).fingerprint
    assert Pseudonyms(KEY).fingerprint not in KEY.hex()


@pytest.mark.parametrize("text", ["", "ann", "00" * 31, "00" * 33, "0g" * 32])
def test_a_key_of_the_wrong_form_is_refused_with_what_to_do(text: str) -> None:
    with pytest.raises(ValueError, match="openssl rand -hex 32"):
        read_key(text)


def test_a_key_is_read_with_blanks_around_it() -> None:
    assert read_key(f" {KEY.hex()}\n") == KEY


def test_of_the_latest_pseudonyms_a_bounded_number_of_short_ids_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.shared.pseudonyms._REMEMBERED", 3)
    made: list[str] = []

    def make(id_: str) -> str:
        made.append(id_)
        return f"u_{len(made)}"

    remembered = KnownPseudonyms(make)

    assert [remembered[each] for each in ("a", "b", "a")] == ["u_1", "u_2", "u_1"]
    assert remembered["c" * 65] != remembered["c" * 65]
    assert list(remembered) == ["a", "b"]
    for each in "def":
        assert remembered[each]
    assert len(remembered) <= 3
