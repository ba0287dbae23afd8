"""
Kept snapshots: what the scorer said of each account, so that rules can be judged again without folding again.

They lie in shards by account, each a list of packed frames, so that shards can be judged in several processes and
memory holds one frame at a time. The parts of a score are left out: rules do not look at them.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from xxhash import xxh64_intdigest

from schemas.measures import MEASURES
from services.alerter.domain.closing import ForgottenAccount

SHARDS = 8
_FRAME = 2_000
_FAST = 1
_KEPT = (
    "account", "sequence", "at", "day", "historical", "trigger_received_at", "stage", "band", "score_tenths", "measures",
    "risk_thousandths", "dates", "counted", "lowest_user", "facts",
)  # fmt: skip
"""The fields of an AccountHealth that the alerter looks at, and the risk, by which accounts are ranked."""
BANDS = ("UNKNOWN", "LEARNING", "RED", "YELLOW", "GREEN")
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode

Said = Mapping[str, Any] | ForgottenAccount
"""A snapshot, or that an account was forgotten."""


def shard_of(account: str) -> int:
    """Return the shard of an account."""
    return xxh64_intdigest(account.encode()) % SHARDS


class Scores(msgspec.Struct, frozen=True):
    """The scores of all snapshots, in the order in which they came; one entry each in every array."""

    account: NDArray[np.int32]
    """Place in the list of accounts."""
    at: NDArray[np.int64]
    """Log time, milliseconds since 1970 UTC."""
    day: NDArray[np.int32]
    """Last closed day, days since 1970 UTC."""
    score_tenths: NDArray[np.int16]
    band: NDArray[np.int8]
    """Place in BANDS."""
    risk: NDArray[np.float64]
    """Log-odds of the hazard that ranks accounts; not a number: not known."""
    owners: frozenset[str]
    """All who look after an account in the end: those who left do not share its calls."""


class Snapshots:
    """All snapshots of one history."""

    def __init__(
        self, shards: list[list[bytes]] | None = None, *, pass_on: Callable[[int, bytes], None] | None = None
    ) -> None:
        """Start with these frames; where new ones are passed on, with the number of their shard, they are not kept here."""
        self.shards: list[list[bytes]] = shards if shards is not None else [[] for _ in range(SHARDS)]
        self._pass_on = pass_on or self.take
        self._waiting: list[list[Said]] = [[] for _ in range(SHARDS)]

    def add(self, said: dict[str, Any] | ForgottenAccount) -> None:
        """Keep one."""
        account = said.account if isinstance(said, ForgottenAccount) else said["account"]
        shard = shard_of(account)
        waiting = self._waiting[shard]
        waiting.append(said if isinstance(said, ForgottenAccount) else {name: said[name] for name in _KEPT})
        if len(waiting) >= _FRAME:
            self._seal(shard)

    def take(self, shard: int, frame: bytes) -> None:
        """Keep a frame that is packed already."""
        self.shards[shard].append(frame)

    def seal(self) -> None:
        """Pack what is not packed yet; call it after the last one."""
        for shard in range(SHARDS):
            self._seal(shard)

    def __iter__(self) -> Iterator[Said]:
        """Return all, shard by shard; those of one account are in their order."""
        for shard in self.shards:
            yield from read(shard)

    def _seal(self, shard: int) -> None:
        if self._waiting[shard]:
            self._pass_on(shard, zlib.compress(_pack(self._waiting[shard]), _FAST))
            self._waiting[shard] = []


def read(frames: list[bytes]) -> Iterator[Said]:
    """Return what is in the frames of one shard."""
    for frame in frames:
        for said in _unpack(zlib.decompress(frame)):
            yield ForgottenAccount(*said) if isinstance(said, list) else said


class _Facts(msgspec.Struct):
    owner: str | None = None


class _Score(msgspec.Struct):
    """The few fields of a snapshot that make a score: to read these alone takes a fraction of the time."""

    account: str
    at: int
    day: int
    score_tenths: int
    band: str
    facts: _Facts
    risk_thousandths: int | None = None


_scores = msgspec.msgpack.Decoder(list[ForgottenAccount | _Score])


class _Numbered(msgspec.Struct):
    numbers: list[int]
    values: list[float]


class _Measured(msgspec.Struct):
    account: str
    measures: _Numbered


_measured = msgspec.msgpack.Decoder(list[ForgottenAccount | _Measured])


def scores_of(snapshots: Snapshots, accounts: list[str]) -> Scores:
    """Return account, time, score, band and risk of every snapshot, and the owners of the latest ones."""
    places = {account: place for place, account in enumerate(accounts)}
    bands = {band: place for place, band in enumerate(BANDS)}
    # typed arrays: ten thousand accounts have eleven million snapshots in three years
    account, at, day, tenths, band = array("i"), array("q"), array("i"), array("h"), array("b")
    risk = array("d")
    owners: dict[int, str | None] = {}
    for frame in (frame for shard in snapshots.shards for frame in shard):
        for said in _scores.decode(zlib.decompress(frame)):
            place = places.get(said.account)
            if place is None:
                continue
            if isinstance(said, ForgottenAccount):
                owners.pop(place, None)
                continue
            account.append(place)
            at.append(said.at)
            day.append(said.day)
            tenths.append(said.score_tenths)
            band.append(bands[said.band])
            risk.append(np.nan if said.risk_thousandths is None else said.risk_thousandths / 1000)
            owners[place] = said.facts.owner
    return Scores(
        np.asarray(account, np.int32),  # the same memory
        np.asarray(at, np.int64),
        np.asarray(day, np.int32),
        np.asarray(tenths, np.int16),
        np.asarray(band, np.int8),
        np.asarray(risk, np.float64),
        frozenset(owner for owner in owners.values() if owner),
    )


def values_of(snapshots: Snapshots, accounts: list[str], names: Sequence[str]) -> NDArray[np.float64]:
    """Return measures of all snapshots, in the order of `scores_of`, a column for each; not a number: not known."""
    known = frozenset(accounts)
    columns = {MEASURES[name].number: column for column, name in enumerate(names)}
    found = array("d")
    for frame in (frame for shard in snapshots.shards for frame in shard):
        for said in _measured.decode(zlib.decompress(frame)):
            if isinstance(said, ForgottenAccount) or said.account not in known:
                continue
            row = [np.nan] * len(columns)
            for number, value in zip(said.measures.numbers, said.measures.values, strict=True):
                if (column := columns.get(number)) is not None:
                    row[column] = value
            found.extend(row)
    return np.asarray(found, np.float64).reshape(-1, len(columns))
