"""
Things that open and close: the support tickets of one account.

Per ticket the latest opening and the latest closing are kept, so records in any order lead to the same state. A
ticket is open while it was opened after it was last closed. Closed ones are remembered for a while, because an
opening may come in after its closing.
"""

from __future__ import annotations

from services.scorer.domain.units import DAY_MS

MAX_TICKETS = 500
"""Per account. Beyond that the oldest closed one is forgotten; where all are open, the new one is left out, counted."""
REMEMBER_CLOSED_MS = 35 * DAY_MS

Tickets = dict[str, tuple[int, int]]
"""Ticket id to the times of its latest opening and closing, milliseconds since 1970 UTC, 0: none seen."""


def note(tickets: Tickets, ticket: str, opened_at: int, closed_at: int) -> bool:
    """Take in an opening or a closing (the other 0); return False where the cap leaves it out."""
    known = tickets.get(ticket)
    if known is None:
        if len(tickets) >= MAX_TICKETS and not _forget_one(tickets):
            return False
        known = (0, 0)
    tickets[ticket] = (max(known[0], opened_at), max(known[1], closed_at))
    return True


def is_open(times: tuple[int, int]) -> bool:
    """Tell whether a ticket with these times is open."""
    return times[0] > times[1]


def open_since(tickets: Tickets) -> list[int]:
    """Return when each open ticket was opened, oldest first."""
    return sorted(times[0] for times in tickets.values() if is_open(times))


def forget_closed(tickets: Tickets, now_ms: int) -> bool:
    """Drop tickets that were closed long ago; return whether there were any."""
    gone = [t for t, times in tickets.items() if not is_open(times) and times[1] < now_ms - REMEMBER_CLOSED_MS]
    for ticket in gone:
        del tickets[ticket]
    return bool(gone)


def _forget_one(tickets: Tickets) -> bool:
    closed = [(times[1], ticket) for ticket, times in tickets.items() if not is_open(times)]
    if not closed:
        return False
    del tickets[min(closed)[1]]
    return True
