"""
The present: traffic of the same sixty accounts from now on, faster than life.

Some accounts break before the viewer's eyes: unhappy answers, a customer whose tickets pile up, one with whom
things are made good. How many events a person makes does not change the account's usage, which counts active
people; so the pace can be quickened without making the accounts look busier.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from services.simulator import calls
from services.simulator.calls import Call
from services.simulator.history import TimedEvent, person_call, present
from services.simulator.roster import Customer, roster
from services.simulator.storylines import Storyline, activity, by_agents


def live_traffic(seed: int, from_ms: int, rate: float) -> Iterator[TimedEvent]:
    """
    Yield events without end, in time order from `from_ms` on, `rate` of them a second on average.

    Each `at_ms` says when to send it; the stream for equal arguments is always the same.
    """
    dice = Random(f"tidemark-live/{seed}/{from_ms}")
    accounts = roster(seed)
    workers = [
        (account, person)
        for account in accounts
        if activity(account.storyline, 0, account.shift) > 0.05
        for person in present(account, 0)
    ]
    plot = list(_plot(accounts, from_ms))
    at_ms, number = float(from_ms), 0
    while True:
        at_ms += dice.expovariate(rate) * 1000
        while plot and plot[0][0] <= at_ms:
            moment, call = plot.pop(0)
            yield _live(seed, from_ms, number, moment, call)
            number += 1
        account, person = dice.choice(workers)
        call = person_call(account, person, dice)
        if dice.random() < by_agents(account.storyline, 0):
            call = calls.by_agent(call)
        yield _live(seed, from_ms, number, int(at_ms), call)
        number += 1


def _live(seed: int, from_ms: int, number: int, at_ms: int, call: Call) -> TimedEvent:
    return TimedEvent(at_ms, calls.stamped(call, f"sim-{seed}-live-{from_ms}-{number}", at_ms))


def _plot(accounts: tuple[Customer, ...], from_ms: int) -> Iterator[tuple[int, Call]]:
    """Yield the dated turns of the live part, in time order."""
    unhappy = [each for each in accounts if each.storyline is Storyline.UNHAPPY_CHAMPION]
    steady = [each for each in accounts if each.storyline is Storyline.STEADY]
    stuck = [each for each in accounts if each.storyline is Storyline.TICKETS_PILE_UP]

    def nps(account: Customer, who: int, score: int) -> Call:
        return calls.track(account.people[who], account, "NPS Submitted", {"score": score})

    def ticket(account: Customer, number: int, event: str) -> Call:
        return calls.track(account.people[0], account, event, {"ticket_id": f"{account.account}-{number}"})

    turns = [
        (6, nps(unhappy[2], 0, 2)),
        (25, nps(steady[3], 1, 4)),
        (40, ticket(steady[5], 901, "Ticket Opened")),
        (55, nps(unhappy[3], 0, 0)),
        (75, nps(unhappy[0], 0, 9)),
        *((90 + number, ticket(stuck[0], number, "Ticket Closed")) for number in range(2, 7)),
        (120, nps(steady[7], 2, 5)),
        (150, nps(unhappy[2], 0, 8)),
        (180, ticket(steady[5], 901, "Ticket Closed")),
    ]
    for seconds, call in turns:
        yield from_ms + seconds * 1000, call
