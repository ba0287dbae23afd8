"""
State records: the bytes in which a lane's state lies on its changelog.

Keys: `h:` + account is hot, `c:` + account is cold, `r:` + account are the roles of its people (account_format.py), `q:` +
account is its quarantine; `l:clock`, `l:fleet` and `l:ledger` are the lane's own. The first byte of a value is the version
of the format; the rest is MessagePack. A record keeps its format until it is written next, so a lane may hold a mix. A
newer format is refused, so that a downgrade never misreads what it finds.

Format 2 adds to `l:clock` who moved log time last. All else is as in format 1.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import msgspec

from schemas import formats
from services.scorer.domain.fleet import FleetTally, FleetYear
from services.scorer.domain.lane.clock import LaneClock
from services.scorer.domain.lane.duplicates import DuplicateWindow
from services.shared.errors import IncompatibleState

NEWEST = formats.at(formats.NEWEST)["scorer_state"]
"""The newest format that is read."""
DEFAULT = formats.at(formats.DEFAULT)["scorer_state"]
"""The format that is written unless told otherwise."""
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


def unpacked(value: bytes) -> list[Any]:
    """Return what is in a state record; raises as `body_of`."""
    return _unpack(body_of(value))  # type: ignore[no-any-return]


_CLOCK = (
    "driven", "epoch", "now", "target", "today", "pending", "phase", "cursor", "sweep_from", "ticked", "waited", "repeated",
    "asked", "answered", "accepted", "deadline",
)  # fmt: skip
_CLOCK_2 = (*_CLOCK, "moved_by")


def encode_clock(clock: LaneClock, tally: FleetTally, ids: DuplicateWindow, written: int) -> bytes:
    """Return the lane's clock with the sweep in progress, and where the duplicate window stands."""
    fields = [getattr(clock, field) for field in (_CLOCK if written == 1 else _CLOCK_2)]
    return HEADS[written] + _pack((fields, tally.state(), ids.hour, ids.oldest, ids.shortened))


def decode_clock(value: bytes) -> tuple[LaneClock, FleetTally, tuple[int, tuple[int, int], int]]:
    """
    Return clock, tally and what `DuplicateWindow.loading` takes.

    Raises:
        IncompatibleState: it was written in a newer format.
    """
    fields, tally, hour, oldest, shortened = unpacked(value)
    clock = LaneClock()
    for field, found in zip(_CLOCK if value[0] == 1 else _CLOCK_2, fields, strict=True):
        setattr(clock, field, found)
    return clock, FleetTally.of_state(tally), (hour, (oldest[0], oldest[1]), shortened)


def encode_fleet(fleet: FleetYear, connected: Sequence[str], written: int) -> bytes:
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
    parts = unpacked(value)
    fleet = FleetYear()
    fleet.ppm = array("I", parts[0])
    fleet.days = array("i", parts[1])
    fleet.cap_milli = parts[2]
    fleet.decided = any(day >= 0 for day in fleet.days)
    fleet.connected = frozenset(parts[3])
    return fleet, frozenset(parts[4])
