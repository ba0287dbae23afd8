"""
What goes wrong in every real stream: events of users whose account nobody has named, and events that ingest refuses.

They are traffic of their own, so that whoever wants a clean stream leaves them out.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from random import Random

from services.shared.units import written_time
from services.simulator.calls import Call
from services.simulator.history import TimedEvent

VISITORS = 6
REFUSED: tuple[Call, ...] = (
    {"type": "track", "event": "", "properties": {"plan": "team"}},
    {"type": "track", "event": "Report Shared", "properties": "recipients=3"},
    {"type": "identify", "traits": {"name": "Ada"}, "timestamp": "yesterday"},
    {"type": "tracking", "event": "Comment Added"},
    {"type": "page", "name": "Dashboard", "properties": {"path": "/dashboard"}, "timestamp": "2101-01-01T00:00:00Z"},
)
"""One of each kind that ingest refuses, by the mistake in it."""
_FIRST_S = (2.0, 2.5, 3.0, 3.5, 4.0, 5.0)
"""At the beginning some come at once, so that there is something to see."""
_PAUSE_S = 8.0
"""On average, after those."""
_REFUSED_SHARE = 0.3


def stray_traffic(seed: int, from_ms: int) -> Iterator[TimedEvent]:
    """Yield strays without end, in time order from `from_ms` on."""
    dice = Random(f"tidemark-strays/{seed}/{from_ms}")
    at_ms, number = float(from_ms), 0
    mistakes = cycle(REFUSED)
    while True:
        if number < len(_FIRST_S):
            at_ms = from_ms + _FIRST_S[number] * 1000
        else:
            at_ms += dice.expovariate(1 / _PAUSE_S) * 1000
        refused = number % 3 == 0 if number < len(_FIRST_S) else dice.random() < _REFUSED_SHARE
        call = {**next(mistakes), "userId": "import@partner.example"} if refused else _of_nobody(dice)
        yield TimedEvent(
            int(at_ms),
            {"timestamp": written_time(int(at_ms), "milliseconds"), **call, "messageId": _id(seed, from_ms, number)},
        )
        number += 1


def _of_nobody(dice: Random) -> Call:
    """Return the call of somebody of whom no account is known."""
    visitor = {"userId": f"visitor.{dice.randrange(VISITORS)}@elsewhere.example"}
    if dice.random() < 0.7:
        name = dice.choice(("Pricing", "Docs", "Sign up"))
        return {**visitor, "type": "page", "name": name, "properties": {"path": f"/{name.lower().replace(' ', '-')}"}}
    return {**visitor, "type": "track", "event": "Trial Requested", "properties": {"seats": dice.randint(2, 40)}}


def _id(seed: int, from_ms: int, number: int) -> str:
    return f"sim-{seed}-stray-{from_ms}-{number}"
