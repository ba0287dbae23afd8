"""Whatever snapshots come, in whatever chunks, with whatever crashes: the life of each episode is whole."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from schemas import codec
from services.alerter.metrics import AlerterMetrics
from services.alerter.processor import alerter_lanes
from services.alerter.rule_files import load_rules
from services.shared.engine.memory.log import MemoryLog
from services.shared.engine.memory.runner import Cuts, MemoryRunner
from services.shared.units import DAY_MS
from tests.support.alerter import START_DAY, snapshot
from tests.support.examples import examples

RULES = load_rules()
_encode = codec.encoder("account_health")
_encode_forgotten = codec.encoder("account_forgotten")

ACCOUNTS = ("acme", "globex:eu", "initech")
SEVERITIES = ("INFO", "WARNING", "CRITICAL")

levels = st.sampled_from([0.02, 0.2, 0.4, 0.6, 0.9, 1.0, 1.8])
moods = st.fixed_dictionaries(
    {
        "level_1w": levels,
        "level_2w": levels,
        "level_4w": levels,
        "silent_days": st.sampled_from([0, 3, 8, 15, 25]),
        "active_days_7": st.integers(0, 7),
        "fleet_level": st.sampled_from([1.0, 1.0, 0.5]),
        "active_users_28": st.sampled_from([1, 3, 5, 8]),
        "value_proven": st.booleans(),
        "tickets_open": st.sampled_from([0, 4]),
        "oldest_opened_at": st.sampled_from([(START_DAY - 9) * DAY_MS]),
        "detractors": st.integers(0, 1),
        "score_tenths": st.sampled_from([300, 550, 900]),
        "band": st.sampled_from(["RED", "LEARNING", "GREEN"]),
        "facts__seats": st.sampled_from([None, 6]),
        "facts__renewal_day": st.sampled_from([None, START_DAY + 60]),
        "historical": st.booleans(),
    }
)
Stretch = tuple[str, dict[str, Any], int, bool]
spans = st.lists(
    st.tuples(st.sampled_from(ACCOUNTS), moods, st.integers(1, 12), st.sampled_from([False, False, True])),
    min_size=1,
    max_size=12,
)


def log_of(stretches: list[Stretch]) -> MemoryLog:
    """
    Put each stretch of equal days on a log, account by account; now and then two snapshots of one moment.

    The last member of a stretch says whether the account is forgotten at its end.
    """
    log = MemoryLog(partitions=2)
    days: dict[str, int] = defaultdict(int)
    for account, mood, length, forgotten in stretches:
        for _ in range(length):
            value = _encode(snapshot(days[account], account=account, **mood))
            log.append("account-health", account.encode(), value)
            if days[account] % 3 == 0:
                log.append("account-health", account.encode(), value)
            log.mark("account-health", days[account] % 2)
            days[account] += 1
        if forgotten:
            gone = {"account": account, "at": snapshot(days[account])["at"], "historical": False}
            log.append("account-health", account.encode(), _encode_forgotten(gone))
    return log


def outputs(log: MemoryLog, cuts: Cuts) -> dict[str, dict[bytes, list[bytes | None]]]:
    """Run the alerter; return what it wrote, per topic and key, in order."""
    MemoryRunner(log, [alerter_lanes(RULES, AlerterMetrics(CollectorRegistry()))], cuts).run()
    found: dict[str, dict[bytes, list[bytes | None]]] = {}
    for topic in ("risk-signals", "expansion-signals", "open-signals", "dead-letters"):
        by_key = found.setdefault(topic, {})
        for record in log.records(topic):
            by_key.setdefault(record.key or b"", []).append(record.value)
    return found


@settings(max_examples=examples(12), deadline=None)
@given(
    spans,
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
    st.integers(1, 5),
    st.lists(st.integers(1, 60), max_size=4, unique=True),
)
def test_any_chunks_and_any_crashes_give_the_same_bytes(
    stretches: list[Stretch], chunks: list[int], transaction: int, crashes: list[int]
) -> None:
    plain = outputs(log_of(stretches), Cuts())

    assert outputs(log_of(stretches), Cuts(chunks, transaction, crashes)) == plain


@settings(max_examples=examples(15), deadline=None)
@given(spans)
def test_episodes_are_whole(stretches: list[Stretch]) -> None:
    log = log_of(stretches)
    written = outputs(log, Cuts())
    assert not written["dead-letters"]

    topics = written["risk-signals"], written["expansion-signals"]
    values = [value for topic in topics for key in topic.values() for value in key if value is not None]
    signals = [codec.decode(value)[1] for value in values]
    assert len({s["signal_id"] for s in signals}) == len(signals)

    open_now: dict[tuple[str, str], dict[str, Any]] = {}
    for signal in signals:
        key = signal["account"], signal["rule"]
        before = open_now.get(key)
        if signal["transition"] == "FIRING":
            assert before is None
            assert signal["transition_number"] == 1
            assert signal["episode_started_at"] == signal["at"]
        else:
            assert before is not None
            assert signal["transition_number"] == before["transition_number"] + 1
            assert signal["episode_id"] == before["episode_id"]
        if signal["transition"] == "RESOLVED":
            assert signal["resolved_reason"] in {"recovered", "inhibited", "expired", "forgotten"}
            del open_now[key]
        else:
            assert signal["resolved_reason"] == ""
            assert before is None or SEVERITIES.index(signal["severity"]) > SEVERITIES.index(before["severity"])
            open_now[key] = signal
    latest = {key.decode(): codec.decode(value)[1] for key, value in log.latest("open-signals").items()}
    assert latest == {signal["episode_id"]: signal for signal in open_now.values()}


@settings(max_examples=examples(15), deadline=None)
@given(spans, st.floats(0, 1), st.floats(0, 1))
def test_a_subscriber_that_begins_at_any_time_as_the_page_says_knows_what_is_open(
    stretches: list[Stretch], begin: float, end: float
) -> None:
    """Its offsets of an hour ago are at `begin`; what it finds on open-signals is of a later time, `end`."""
    log = log_of(stretches)
    written = outputs(log, Cuts())
    topics = written["risk-signals"], written["expansion-signals"]
    signals = [codec.decode(value or b"")[1] for topic in topics for key in topic.values() for value in key]
    last = {signal["episode_id"]: signal for signal in signals if signal["transition"] == "RESOLVED"}
    stood = [(record.key or b"", record.value) for record in log.records("open-signals")]
    moves = [last[key.decode()] if value is None else codec.decode(value)[1] for key, value in stood]
    begun, read = sorted(round(share * len(moves)) for share in (begin, end))

    open_now: dict[str, dict[str, Any]] = {}
    for key, value in stood[:read]:
        if value is None:
            open_now.pop(key.decode(), None)
        else:
            open_now[key.decode()] = codec.decode(value)[1]
    known = {episode: signal["transition_number"] for episode, signal in open_now.items()}
    for signal in moves[begun:]:
        episode = signal["episode_id"]
        if signal["transition_number"] <= known.get(episode, 0):
            continue
        known[episode] = signal["transition_number"]
        open_now[episode] = signal
        if signal["transition"] == "RESOLVED":
            del open_now[episode]

    assert open_now == {key.decode(): codec.decode(value)[1] for key, value in log.latest("open-signals").items()}


@settings(max_examples=examples(15), deadline=None)
@given(spans)
def test_no_expansion_is_open_beside_a_risk_at_the_end_of_a_snapshot(
    stretches: list[Stretch],
) -> None:
    log = log_of(stretches)
    outputs(log, Cuts())

    found = [codec.decode(value)[1] for value in log.latest("open-signals").values()]
    at_risk = {s["account"] for s in found if s["category"] == "RISK"}
    assert not at_risk & {s["account"] for s in found if s["category"] == "EXPANSION"}
