"""
Each storyline of the simulated customers gets the signals that it should, in time, and no other account gets any.

The simulated past runs through the rules of admission, scorer, fleet and alerter over a log in memory, in the very
order in which a backfill drives it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from schemas import codec
from services.alerter.metrics import AlerterMetrics
from services.alerter.processor import alerter_lanes
from services.alerter.rule_files import load_rules
from services.backfill.mapping import TimedCall
from services.backfill.plan import Send, Tick, steps
from services.ingest.domain.admission import admit
from services.ingest.domain.request import Request
from services.scorer.lanes import fleet_lane, usage_lanes
from services.scorer.settings import ScorerSettings, load_scoring
from services.shared.engine.memory.log import MemoryLog
from services.shared.engine.memory.runner import Cuts, MemoryRunner
from services.shared.settings import load
from services.shared.units import DAY_MS, HOUR_MS
from services.simulator import History, Storyline, roster
from services.simulator.storylines import announced
from tests.support.ingest import rules

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

SEED, UNTIL_MS, EPOCH = 7, 1_795_010_000_000, 1
PARTITIONS = 4

Signal = dict[str, Any]


@pytest.fixture(scope="module")
def signals() -> dict[str, list[Signal]]:
    """All signals of the past by account, in time order."""
    plan, model = load_scoring(load(ScorerSettings))
    log = MemoryLog(PARTITIONS)
    lanes = [
        usage_lanes(PARTITIONS, plan, model),
        fleet_lane(),
        alerter_lanes(load_rules(), AlerterMetrics(CollectorRegistry())),
    ]
    runner = MemoryRunner(log, lanes, Cuts(chunk=(2_000,), transaction=4))
    request = Request("app", "production", UNTIL_MS + 60_000, backfill=True, epoch=EPOCH, historical=True)
    event, tick, clock = (codec.encoder(record) for record in ("usage_event", "tick", "clock"))
    history = History(SEED, UNTIL_MS)
    start = (history.last_day - history.weeks * 7 + 1) * DAY_MS

    def control(value: bytes) -> None:
        for partition in range(PARTITIONS):
            log.append("usage-events", None, value, partition)

    control(clock({"mode": "DRIVEN", "epoch": EPOCH, "at": start}))
    calls = (TimedCall(*each) for each in history.events())
    for step in steps(calls, start, UNTIL_MS, 6 * HOUR_MS):
        if isinstance(step, Send):
            for _, call in step.calls:
                admitted = admit(msgspec.json.encode(call), request, rules(), str)
                log.append("usage-events", admitted.key, event(admitted.event))
        elif isinstance(step, Tick):
            control(tick({"at": step.at_ms, "epoch": EPOCH}))
            runner.run()
    found: dict[str, list[Signal]] = defaultdict(list)
    for topic in ("risk-signals", "expansion-signals"):
        for value in log.values(topic):
            signal = codec.decode(value)[1]
            found[signal["account"]].append(signal)
    for each in found.values():
        each.sort(key=lambda signal: int(signal["at"]))
    return found


def accounts(storyline: Storyline) -> list[str]:
    """Return the accounts that live through a storyline, in the order of their shift."""
    return [each.account for each in roster(SEED) if each.storyline is storyline]


def fired(signals: list[Signal]) -> dict[str, int]:
    """Return when each rule fired first, in days before the end."""
    last = UNTIL_MS // DAY_MS
    first: dict[str, int] = {}
    for signal in signals:
        if signal["transition"] == "FIRING":
            first.setdefault(signal["rule"], last - signal["at"] // DAY_MS)
    return first


@pytest.mark.parametrize("storyline", [Storyline.STEADY, Storyline.QUARTER_END, Storyline.ONBOARDING_WELL])
def test_healthy_accounts_get_no_signal(signals: dict[str, list[Signal]], storyline: Storyline) -> None:
    assert {account: fired(signals[account]) for account in accounts(storyline) if signals[account]} == {}


def test_the_summer_break_of_all_customers_raises_no_alarm(signals: dict[str, list[Signal]]) -> None:
    around = [
        (signal["account"], signal["rule"])
        for each in signals.values()
        for signal in each
        if signal["category"] == "RISK" and 88 <= UNTIL_MS // DAY_MS - signal["at"] // DAY_MS <= 110
    ]

    assert around == []


def test_whoever_stops_is_found_within_two_weeks(signals: dict[str, list[Signal]]) -> None:
    for shift, account in enumerate(accounts(Storyline.SUDDEN_STOP)):
        stopped = 12 + 5 * shift
        first = fired(signals[account])

        assert "usage_silent" in first
        assert stopped - max(first.values()) <= 14


def test_lost_seats_show_within_three_weeks(signals: dict[str, list[Signal]]) -> None:
    for shift, account in enumerate(accounts(Storyline.SEAT_LOSS)):
        first = fired(signals[account])

        assert first.keys() & {"usage_decline", "usage_decline_fast", "active_users_falling"}
        assert 26 + 4 * shift - max(first.values()) <= 21


def test_slow_decay_is_found_before_the_end(signals: dict[str, list[Signal]]) -> None:
    for account in accounts(Storyline.SLOW_DECAY):
        assert fired(signals[account]).keys() & {"usage_decline", "usage_decline_fast"}


def test_whoever_has_been_back_for_a_month_is_recovered(signals: dict[str, list[Signal]]) -> None:
    for shift, account in enumerate(accounts(Storyline.LONG_HOLIDAY)):
        if announced(Storyline.LONG_HOLIDAY, shift):
            continue
        last = [signal for signal in signals[account] if signal["rule"] == "usage_silent"][-1]

        assert (last["transition"], last["resolved_reason"]) == ("RESOLVED", "recovered")


def test_whoever_announces_an_absence_gets_no_signal_for_it(signals: dict[str, list[Signal]]) -> None:
    told = [
        account
        for storyline in Storyline
        for shift, account in enumerate(accounts(storyline))
        if announced(storyline, shift)
    ]

    assert len(told) == 3
    assert {account: fired(signals[account]) for account in told if signals[account]} == {}


def test_work_that_moves_to_agents_is_told_apart_from_a_decline(signals: dict[str, list[Signal]]) -> None:
    for account in accounts(Storyline.MOVED_TO_AGENTS):
        assert fired(signals[account]).keys() == {"moved_to_agents"}


def test_whoever_came_back_lately_is_not_called_recovered_yet(signals: dict[str, list[Signal]]) -> None:
    for account in accounts(Storyline.RETURNING):
        last = [signal for signal in signals[account] if signal["rule"] == "usage_silent"][-1]

        assert (last["transition"], last["severity"]) == ("UPDATED", "CRITICAL")


@pytest.mark.parametrize(
    ("storyline", "rule"),
    [
        (Storyline.TICKETS_PILE_UP, "tickets_stuck"),
        (Storyline.RENEWAL_DRIFT, "renewal_at_risk"),
        (Storyline.SEAT_SATURATION, "seat_saturation"),
        (Storyline.GROWING, "usage_growth"),
    ],
)
def test_a_storyline_gets_the_signal_that_it_is_named_after(
    signals: dict[str, list[Signal]], storyline: Storyline, rule: str
) -> None:
    for account in accounts(storyline):
        assert rule in fired(signals[account]), account


def test_an_unhappy_answer_fires_on_the_next_tick(signals: dict[str, list[Signal]]) -> None:
    told, silent = accounts(Storyline.UNHAPPY_CHAMPION)[:2], accounts(Storyline.UNHAPPY_CHAMPION)[2:]

    for account, answered in zip(told, (14, 1), strict=True):
        assert fired(signals[account]) in ({"nps_detractor": answered}, {"nps_detractor": answered - 1})
    assert [fired(signals[account]) for account in silent] == [{}, {}]


def test_every_signal_of_the_past_says_so_and_explains_itself(signals: dict[str, list[Signal]]) -> None:
    for each in signals.values():
        for signal in each:
            assert signal["historical"]
            assert signal["summary"]
            if signal["transition"] != "RESOLVED":
                assert signal["action"]
                assert signal["evidence"]
