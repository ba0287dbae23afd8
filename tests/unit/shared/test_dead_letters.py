"""What is kept of something that was not applied, and under which key."""

from hashlib import sha256

import pytest

from schemas import codec
from services.shared.dead_letters import ORIGINAL_BYTES, DeadLetter
from services.shared.engine.gathering import DEFAULT_LIMIT, RECORD_OVERHEAD

BAD = DeadLetter(by="scorer", reason="bad_ticket", field="properties.id", detail="send an id", original=b"event")


def test_a_small_original_is_kept_whole() -> None:
    value = codec.decode(BAD.encode())[1]

    assert (value["original"], value["original_size"]) == (b"event", 5)
    assert (value["by"], value["reason"], value["field"], value["detail"]) == (
        "scorer",
        "bad_ticket",
        "properties.id",
        "send an id",
    )


def test_of_a_large_original_the_beginning_is_kept_with_size_and_hash_of_all_of_it() -> None:
    original = b"x" * (ORIGINAL_BYTES + 10)
    value = codec.decode(DeadLetter(by="ingest", reason="r", field="", detail="", original=original).encode())[1]

    assert value["original"] == original[:ORIGINAL_BYTES]
    assert (value["original_size"], value["original_sha256"]) == (len(original), sha256(original).hexdigest())


def test_the_largest_dead_letter_fits_a_topic_with_kafkas_own_limit() -> None:
    text = "\U0001f30a" * 5_000_000
    letter = DeadLetter(
        by="alerter",
        reason="wrong_key",
        field=text,
        detail=text,
        original=b"x" * 5_000_000,
        event_id=text,
        source=text,
        account=text,
    )

    assert len(letter.key) + len(letter.encode()) + RECORD_OVERHEAD <= DEFAULT_LIMIT


@pytest.mark.parametrize(
    ("account", "source", "key"), [("acme", "app", b"acme"), ("", "app", b"app"), ("", "", b"scorer")]
)
def test_the_key_is_the_account_else_the_source_else_the_service(account: str, source: str, key: bytes) -> None:
    letter = DeadLetter(by="scorer", reason="r", field="", detail="", original=b"", account=account, source=source)

    assert letter.key == key
