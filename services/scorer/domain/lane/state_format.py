"""
State records: the bytes in which a lane's state lies on its changelog.

Keys: `h:` + account is hot, `c:` + account is cold (see account.py), `q:` + account is its quarantine; `l:clock`,
`l:fleet` and `l:ledger` are the lane's own. The first byte of a value is the version of the format; the rest is MessagePack.
A record keeps its format until it is written next, so a lane may hold a mix. A newer format is refused, so that a
downgrade never misreads what it finds.

Format 2 adds to `l:clock` who moved log time last. All else is as in format 1.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import msgspec

from schemas import formats
from services.scorer.domain.accounts.account import Account
from services.scorer.domain.accounts.active_users import People
from services.scorer.domain.accounts.daily_counts import METRICS, NARROW, SPAN, WIDE, DayRings
from services.scorer.domain.accounts.facts import FIELDS, Facts
from services.scorer.domain.fleet import FleetTally, FleetYear
from services.scorer.domain.lane.clock import LaneClock
from services.scorer.domain.lane.duplicates import DuplicateWindow
from services.shared.errors import IncompatibleState

NEWEST = formats.at(formats.NEWEST)["scorer_state"]
"""The newest format that is read."""
DEFAULT = formats.at(formats.DEFAULT)["scorer_state"]
"""The format that is written unless told otherwise."""
HOT, COLD = b"h:", b"c:"
CLOCK_KEY, FLEET_KEY = b"l:clock", b"l:fleet"

HEADS = tuple(bytes((number,)) for number in range(NEWEST + 1))
"""The first byte of a record, by format."""
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode


def body_of(value: bytes) -> bytes:
    """
    Return a state record without its version.

    Raises:
        IncompatibleState: it was written in a newer format.
    """
    version = value[0] if value else 0
    if not 1 <= version <= NEWEST:
        raise IncompatibleState(
            f"the scorer's state is of format {version}, this version reads up to {NEWEST}:"
            " run the version that wrote it, or a later one"
        )
    return value[1:]


def _body(value: bytes) -> list[Any]:
    return _unpack(body_of(value))  # type: ignore[no-any-return]


def encode_hot(account: Account, written: int = DEFAULT) -> bytes:
    """Return the hot record of an account in the format to be written."""
    people = account.people
    today = people.today
    return HEADS[written] + _pack(
        (
            account.events_today,
            account.value_today,
            account.opened_today,
            account.closed_today,
            today.to_bytes((today.bit_length() + 7) // 8, "little"),
            array("Q", people.new).tobytes() if people.new else b"",
            account.first_day,
            account.last_active_day,
            account.first_value_day,
            account.touched_day,
            account.touch_closed_day,
            account.stale | account.queued << 2 | account.historical << 3 | account.dormant << 4 | account.behind << 5,
            account.trigger,
            account.evaluated_at,
            sorted((ticket, *times) for ticket, times in account.tickets.items()) if account.tickets else None,
            account.last_evaluation,
        )
    )


def decode_hot(account: Account, value: bytes) -> None:
    """
    Take the hot record of an account back.

    Raises:
        IncompatibleState: it was written in a newer format.
    """
    parts = _body(value)
    account.events_today, account.value_today, account.opened_today, account.closed_today = parts[:4]
    account.people.today = int.from_bytes(parts[4], "little")
    new = array("Q", parts[5])
    account.people.new = (
        dict(zip(new, range(len(account.people.known), len(account.people.known) + len(new)), strict=True))
        if new
        else None
    )
    account.first_day, account.last_active_day, account.first_value_day, account.touched_day = parts[6:10]
    account.touch_closed_day = parts[10]
    flags = parts[11]
    account.stale = flags & 3
    account.queued, account.historical, account.dormant = bool(flags & 4), bool(flags & 8), bool(flags & 16)
    account.behind = bool(flags & 32)
    account.trigger, account.evaluated_at = parts[12:14]
    account.tickets = {ticket: (opened, closed) for ticket, opened, closed in parts[14]} if parts[14] else None
    account.last_evaluation = parts[15]


def encode_cold(account: Account, written: int = DEFAULT) -> bytes:
    """Return the cold record of an account in the format to be written."""
    people, rings = account.people, account.rings
    return HEADS[written] + _pack(
        (
            rings.through,
            [_pack_ring(ring) for ring in rings.counts],
            sorted((metric, day, count) for (metric, day), count in rings.large.items()) if rings.large else None,
            people.through,
            people.known.tobytes(),
            bytes(people.bits),
            (account.facts.values, account.facts.times.tolist()) if account.facts else None,
            sorted((person, *answer) for person, answer in account.answers.items()) if account.answers else None,
        )
    )


def decode_cold(account: Account, value: bytes) -> None:
    """
    Take the cold record of an account back; before its hot one.

    Raises:
        IncompatibleState: it was written in a newer format.
    """
    parts = _body(value)
    rings = DayRings(parts[0])
    rings.counts = [_unpack_ring(packed) for packed in parts[1]] + [None] * (METRICS - len(parts[1]))
    rings.large = {(metric, day): count for metric, day, count in parts[2]} if parts[2] else None
    people = People(parts[3])
    people.known = array("Q", parts[4])
    people.bits = bytearray(parts[5])
    account.rings, account.people = rings, people
    account.facts = _facts(parts[6]) if parts[6] else None
    account.answers = {person: (at, score) for person, at, score in parts[7]} if parts[7] else None


def _facts(parts: Sequence[Any]) -> Facts:
    facts = Facts()
    missing = len(FIELDS) - len(parts[0])
    facts.values = list(parts[0]) + [None] * missing
    facts.times = array("q", list(parts[1]) + [-1] * missing)
    return facts


def _pack_ring(ring: array[int] | None) -> bytes | None:
    """Return a ring as it is, in one byte a day or two: once wide it stays wide, also after a restore."""
    return None if ring is None else ring.tobytes()


def _unpack_ring(packed: bytes | None) -> array[int] | None:
    if packed is None:
        return None
    return array(NARROW if len(packed) == SPAN else WIDE, packed)


_CLOCK = (
    "driven", "epoch", "now", "target", "today", "pending", "phase", "cursor", "sweep_from", "ticked", "waited", "repeated",
    "asked", "answered", "accepted", "deadline",
)  # fmt: skip
_CLOCK_2 = (*_CLOCK, "moved_by")


def encode_clock(clock: LaneClock, tally: FleetTally, ids: DuplicateWindow, written: int = DEFAULT) -> bytes:
    """Return the lane's clock with the sweep in progress, and where the duplicate window stands."""
    fields = [getattr(clock, field) for field in (_CLOCK if written == 1 else _CLOCK_2)]
    return HEADS[written] + _pack((fields, tally.state(), ids.hour, ids.oldest, ids.shortened))


def decode_clock(value: bytes) -> tuple[LaneClock, FleetTally, tuple[int, tuple[int, int], int]]:
    """
    Return clock, tally and what `DuplicateWindow.loaded` takes.

    Raises:
        IncompatibleState: it was written in a newer format.
    """
    fields, tally, hour, oldest, shortened = _body(value)
    clock = LaneClock()
    for field, found in zip(_CLOCK if value[0] == 1 else _CLOCK_2, fields, strict=True):
        setattr(clock, field, found)
    return clock, FleetTally.of_state(tally), (hour, (oldest[0], oldest[1]), shortened)


def encode_fleet(fleet: FleetYear, connected: Sequence[str], written: int = DEFAULT) -> bytes:
    """Return the fleet's factors, the cap and the dimensions connected, those of this lane first."""
    return HEADS[written] + _pack(
        (fleet.ppm.tobytes(), fleet.days.tobytes(), fleet.cap_milli, sorted(fleet.connected), sorted(connected))
    )


def decode_fleet(value: bytes) -> tuple[FleetYear, frozenset[str]]:
    """
    Return the factors, and the dimensions that this lane itself has seen.

    Raises:
        IncompatibleState: it was written in a newer format.
    """
    parts = _body(value)
    fleet = FleetYear()
    fleet.ppm = array("I", parts[0])
    fleet.days = array("i", parts[1])
    fleet.cap_milli = parts[2]
    fleet.decided = any(day >= 0 for day in fleet.days)
    fleet.connected = frozenset(parts[3])
    return fleet, frozenset(parts[4])
