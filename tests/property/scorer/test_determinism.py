"""The same log gives the same outputs and state: in any chunks, after any crash, twice."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from schemas.topics import USAGE_EVENTS
from services.scorer.domain.counters import LEDGER_KEY
from services.scorer.domain.lane.state_format import NEWEST
from services.scorer.lanes import usage_lanes
from services.shared.engine.memory.log import MemoryLog
from services.shared.engine.memory.runner import Cuts, MemoryRunner
from services.shared.engine.position import POSITION_KEY
from services.shared.source_records import decode
from tests.support.attribution import encode, link
from tests.support.examples import examples
from tests.support.scorer import DAY, MODEL, PLAN, Log, at, clock, fleet, tick

OUTPUTS = ("account-health", "account-health-latest", "fleet-partials", "dead-letters", "fleet")


def history(seed: int, days: int = 12, accounts: int = 9, partitions: int = 2) -> Log:
    """Write a log with everything in it: activity, late, wrong and again, tickets, surveys, facts, merged people, idle days."""
    rnd = random.Random(seed)
    log = Log(partitions)
    sent: list[tuple[Any, dict[str, Any]]] = []
    number = 0
    for day in range(days):
        for hour in range(0, 24, 4):
            for _ in range(rnd.randrange(14)):
                number += 1
                account = f"acct-{rnd.randrange(accounts)}" if rnd.random() < 0.9 else f"new-{number}"
                user = rnd.choice(["ann", "bob", "cid", "dan", ""])
                changes: dict[str, Any] = {"received_at": at(day, hour) + rnd.randrange(3_600_000)}
                when = changes["received_at"]
                match rnd.randrange(14):
                    case 0:
                        changes |= {"name": "Ticket Opened", "properties": {"ticket_id": rnd.randrange(5)}}
                    case 1:
                        changes |= {"name": "ticket_closed", "properties": {"ticket_id": rnd.choice([1, 2, 3, None])}}
                    case 2:
                        changes |= {"name": "NPS Submitted", "properties": {"score": rnd.choice([0, 7, 10, 11, "x"])}}
                    case 3:
                        traits = {"seats": rnd.choice([5, "many", 7]), "renewal_date": "2025-01-31", "name": "Acme"}
                        changes |= {"kind": "GROUP", "properties": traits}
                    case 4:
                        when -= rnd.randrange(300) * 86_400_000
                    case 5:
                        changes |= {"name": "Report Shared"}
                    case 6:
                        changes |= {"environment": "staging"}
                    case 7:
                        changes |= {"kind": rnd.choice(["IDENTIFY", "PAGE", "SCREEN", "ALIAS", "UNKNOWN"])}
                    case _:
                        pass
                given_ = (f"e{number}", account, user, when)
                sent.append((given_, changes))
                log.event(*given_, **changes)
                if rnd.random() < 0.2:
                    again, changed = rnd.choice(sent)
                    log.event(*again, **changed)
            for _ in range(rnd.randrange(3)):  # two people of an account are one; it may know neither
                user, known_as = rnd.sample(["ann", "bob", "cid", "dan", "eve"], 2)
                same = link("SAME", user, f"acct-{rnd.randrange(accounts)}", at(day, hour), known_as=known_as)
                log.memory.append(USAGE_EVENTS, same["account"].encode(), encode("user_link", same))
            if rnd.random() < 0.9:
                log.control("tick", tick(at(day, hour + 2)))
        if rnd.random() < 0.5:  # somebody comes in while the day is swept, and is named again after it
            newcomer = f"night-{day}"
            for minute in (1, 5, 30):
                log.control("tick", tick(at(day + 1) + minute * 20_000))
                log.event(f"n{day}-{minute}", newcomer, "ann", at(day + 1) + minute * 20_000 + 1)
        if rnd.random() < 0.7:
            log.control("tick", tick(at(day + 1) + 1))
            log.control("fleet", fleet(day, 900_000 + rnd.randrange(200_000)))
        elif rnd.random() < 0.3:
            log.control("tick", tick(at(day + 1, 5)))
    log.control("tick", tick(at(days, 23)))
    return log


def outputs(memory: MemoryLog) -> dict[str, Any]:
    found: dict[str, Any] = {topic: [(r.partition, r.key, r.value) for r in memory.records(topic)] for topic in OUTPUTS}
    found["fleet-partials"].sort()  # two lanes write to its one partition: their turns are no content
    return found


def state(memory: MemoryLog, partitions: int) -> dict[bytes, bytes]:
    live: dict[bytes, bytes] = {}
    for partition in range(partitions):
        found = memory.latest("scorer-usage-events-state", partition)
        found.pop(POSITION_KEY)
        live |= {b"%d" % partition + key: value for key, value in found.items()}
    return live


def run(log: Log, cuts: Cuts | None = None) -> tuple[dict[str, Any], dict[bytes, bytes], int]:
    copy = log.without_outputs()
    runner = copy.runner(cuts, aggregate=False)
    runner.run()
    return outputs(copy.memory), state(copy.memory, log.partitions), runner.points


def test_a_history_shows_every_kind_of_outcome() -> None:
    log = history(1)
    runner = log.runner(aggregate=False)
    runner.run()
    ledgers = [runner.processor("usage-events", p).state.ledger for p in range(2)]  # type: ignore[attr-defined]

    for field in (
        "applied",
        "duplicates",
        "too_late",
        "non_production",
        "dead_lettered",
        "late_applied",
        "fields_rejected",
        "people_merged",
    ):
        assert sum(getattr(ledger, field) for ledger in ledgers), field
    kinds = [decode(r, ("usage_event", "user_link"))[0] for r in log.memory.records(USAGE_EVENTS) if r.key]
    assert sum(ledger.received for ledger in ledgers) == kinds.count("usage_event")


@settings(max_examples=examples(4), deadline=None, phases=[Phase.explicit, Phase.generate])
@given(st.integers(0, 10_000), st.lists(st.integers(1, 60), min_size=1, max_size=3), st.integers(1, 9))
def test_any_chunking_gives_the_same_bytes(seed: int, chunk: list[int], transaction: int) -> None:
    log = history(seed)

    assert run(log, Cuts(chunk=chunk, transaction=transaction))[:2] == run(log)[:2]


@settings(max_examples=examples(4), deadline=None, phases=[Phase.explicit, Phase.generate])
@given(st.integers(0, 10_000), st.data())
def test_crashes_at_any_points_give_the_same_bytes(seed: int, data: st.DataObject) -> None:
    log = history(seed)
    undisturbed, expected, points = run(log, Cuts(chunk=(7,), transaction=3))
    crashes = data.draw(st.sets(st.integers(1, points), max_size=12))

    assert run(log, Cuts(chunk=(7,), transaction=3, crashes=crashes))[:2] == (undisturbed, expected)


def test_a_crash_at_each_point_of_a_return_from_absence_gives_the_same_bytes() -> None:
    log = Log(1)
    log.control("tick", tick(at(0, 18)))
    for number in range(12):
        log.event(f"e{number % 10}", f"acct-{number % 10 % 3}", "ann", at(3 + number % 3, 9), name="Ticket Opened")
    for number in range(12, 24):
        log.event(f"e{number}", f"acct-{number % 3}", "ann", at(3 + number % 3, 9) + number)
    for day in range(1, 7):
        log.control("tick", tick(at(day, 18)))
    undisturbed, expected, points = run(log, Cuts(chunk=(3,), transaction=2))
    assert len(undisturbed["dead-letters"]) >= 10

    for point in range(1, points + 1):
        assert run(log, Cuts(chunk=(3,), transaction=2, crashes=(point,)))[:2] == (undisturbed, expected), point


@pytest.mark.parametrize("part", range(2))
def test_a_crash_at_each_single_point_gives_the_same_bytes(part: int) -> None:
    log = history(5, days=2, accounts=3, partitions=1)
    undisturbed, expected, points = run(log, Cuts(chunk=(5,), transaction=2))

    for point in range(1 + part, points + 1, 2):
        assert run(log, Cuts(chunk=(5,), transaction=2, crashes=(point,)))[:2] == (undisturbed, expected), (
            f"crash at point {point}"
        )


def test_a_driven_log_with_the_aggregator_replays_to_the_same_bytes_without_it() -> None:
    log = Log(2)
    log.control("clock", clock("DRIVEN", at(), 3))
    runner = log.runner()
    rnd = random.Random(4)
    number = 0
    for day in range(60):
        for account in range(24):
            for _ in range(rnd.randrange(3)):
                number += 1
                log.event(
                    f"e{number}",
                    f"acct-{account}",
                    rnd.choice("abc"),
                    at(day, rnd.randrange(24)),
                    epoch=3,
                    historical=True,
                )
        log.control("tick", tick(at(day + 1), 3))
        runner.run()
    log.control("clock", clock("LIVE", at(63, 5)))
    runner.run()
    first = outputs(log.memory)
    replay = run(log)

    assert replay[0]["account-health"] == first["account-health"]
    assert replay[0]["fleet-partials"] == first["fleet-partials"]
    assert len(first["fleet"]) == 63
    assert DAY


@settings(max_examples=examples(2), deadline=None, phases=[Phase.explicit, Phase.generate])
@given(st.integers(0, 10**6))
def test_no_output_depends_on_the_format_that_state_is_written_in(seed: int) -> None:
    log = history(seed, days=6)
    expected, _, _ = run(log)
    dice = random.Random(seed)
    copy = Log(log.partitions)
    formats_seen = set()
    for record in log.memory.records("usage-events"):
        copy.memory.append("usage-events", record.key, record.value, record.partition, record.appended_at)
        if dice.random() < 0.05:  # a worker of another level takes over
            written = dice.choice([1, NEWEST])
            MemoryRunner(copy.memory, [usage_lanes(log.partitions, PLAN, MODEL, 200_000, written=written)]).run()
            live = copy.memory.latest("scorer-usage-events-state")
            formats_seen |= {value[0] for key, value in live.items() if key[1:2] == b":" and key != LEDGER_KEY}
    MemoryRunner(copy.memory, [usage_lanes(log.partitions, PLAN, MODEL, 200_000, written=NEWEST)]).run()

    assert outputs(copy.memory) == expected
    assert formats_seen == {1, NEWEST}
