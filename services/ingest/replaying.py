"""Requests that send the originals of dead letters again: which letters they are of, and who may send them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from services.ingest.errors import Code
from services.ingest.write_keys.keys import WriteKey
from services.shared.errors import Rejected
from services.shared.replays import HEADER, Replay, decode_replay

_NAME = HEADER.lower().encode()


def replay_of(headers: Mapping[bytes, bytes]) -> Replay | None:
    """
    Return the letters that a request replays, None where it is none.

    Raises:
        Rejected: the header cannot be read.
    """
    value = headers.get(_NAME)
    if value is None:
        return None
    try:
        return decode_replay(value)
    except msgspec.MsgspecError as error:
        raise Rejected(Code.INVALID_HEADER, HEADER, f"it is not JSON that names dead letters: {error}") from error


def check(replay: Replay, key: WriteKey, events: int, latest_ms: int) -> None:
    """
    Refuse a replay that would make other events of the originals than they were to be.

    Raises:
        Rejected: the originals were received after `latest_ms`; the key may not say when events were received, or is of another source; or the letters do not fit.
    """
    if not key.backfill:
        raise Rejected(
            Code.BACKFILL_NOT_ALLOWED, HEADER, "this write key may not replay; use one that has backfill: true"
        )
    for field, wanted, found in (
        ("source", replay.source, key.source),
        ("environment", replay.environment, key.environment),
    ):
        if wanted is not None and wanted != found:
            raise Rejected(
                Code.WRONG_SOURCE,
                field,
                f"the write key has the {field} {found!r}, the dead letters have {wanted!r}; use a key that has the same",
            )
    if replay.received_at > latest_ms:
        raise Rejected(
            Code.INVALID_HEADER, HEADER, "received_at is in the future; it is when the original was received"
        )
    if not replay.fits(events):
        raise Rejected(
            Code.INVALID_HEADER, HEADER, f"{replay.last - replay.first + 1} letters do not make {events} events"
        )
