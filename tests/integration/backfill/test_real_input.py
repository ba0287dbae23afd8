"""
Commits of sixteen years, account = employer, user = author: three years of half the accounts, judged in memory.

The very folds that production runs read the file through the backfill's own mapping and plan. What must come out is
worked out here from the file itself, without any of the project's arithmetic.
"""

from __future__ import annotations

import csv
import gzip
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from prometheus_client import CollectorRegistry

from schemas import codec
from services.alerter.metrics import AlerterMetrics
from services.alerter.processor import alerter_lanes
from services.alerter.rule_files import load_rules
from services.backfill.files import survey
from services.backfill.mapping import Mapping
from services.backfill.plan import Send, Tick, steps
from services.backfill.times import TimeFormat
from services.scorer.lanes import fleet_lane, usage_lanes
from services.scorer.settings import ScorerSettings, load_scoring
from services.shared.engine.memory.log import MemoryLog
from services.shared.engine.memory.runner import Cuts, MemoryRunner
from services.shared.units import DAY_MS, DAY_S, day_number

pytestmark = pytest.mark.long

PARTITIONS = 2
EPOCH = 1
FIRST, END = date(2017, 1, 1), date(2019, 11, 10)
WENT_SILENT = ("23fccc154692", "c4aa809a5835", "fecb01bb19a1")
"""Active for years and for the last months by three people or four, then never again."""
WITHIN_DAYS = 30
"""They worked on one day or two a week, so nothing can be said sooner than after four weeks."""
OUTPUTS = ("account-health", "risk-signals", "expansion-signals")

_event, _tick, _clock = (codec.encoder(kind) for kind in ("usage_event", "tick", "clock"))


class Commit(NamedTuple):
    """One row as the test itself reads it."""

    day: int
    user: str


@pytest.fixture(scope="module")
def part(project_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the slice as a file of its own."""
    file = project_root.parent / "shared" / "data" / "openstack_commits.csv.gz"
    if not file.exists():
        pytest.skip(f"the file of commits is not there: {file.name}")
    sliced = tmp_path_factory.mktemp("commits") / "commits.csv"
    with gzip.open(file, "rt", newline="") as whole, sliced.open("w", newline="") as out:
        rows = csv.DictReader(whole)
        writer = csv.DictWriter(out, list(rows.fieldnames or ()))
        writer.writeheader()
        for row in rows:
            kept = row["acct"] in WENT_SILENT or row["acct"][0] in "01234567"
            if kept and day_number(FIRST) <= int(row["ts"]) // DAY_S < day_number(END):
                writer.writerow(row)
    return sliced


@pytest.fixture(scope="module")
def commits(part: Path) -> dict[str, list[Commit]]:
    """Return the rows by account, as the file says it."""
    found = defaultdict(list)
    with part.open(newline="") as text:
        for row in csv.DictReader(text):
            found[row["acct"]].append(Commit(int(row["ts"]) // DAY_S, row["user"]))
    return found


@pytest.fixture(scope="module")
def judged(part: Path) -> MemoryLog:
    """Drive the slice through scorer, fleet and alerter, and walk on to its end."""
    mapping = Mapping("acct", "user", "ts", TimeFormat.SECONDS, None, "Commit")
    source = survey(part, mapping, "commits", time.time_ns() // 1_000_000)
    log = MemoryLog(PARTITIONS)
    runner = MemoryRunner(log, lanes())
    everywhere(log, _clock({"mode": "DRIVEN", "epoch": EPOCH, "at": day_number(FIRST) * DAY_MS}))
    for step in steps(source.events(), day_number(FIRST) * DAY_MS, day_number(END) * DAY_MS, DAY_MS):
        if isinstance(step, Send):
            for at_ms, call in step.calls:
                append(log, at_ms, call)
        elif isinstance(step, Tick):
            everywhere(log, _tick({"at": step.at_ms, "epoch": EPOCH}))
        runner.run()
    return log


@pytest.fixture(scope="module")
def signals(judged: MemoryLog) -> list[dict[str, Any]]:
    """Return all signals, each with `day`, the last closed day that it knows of."""
    found = [codec.decode(value)[1] for topic in OUTPUTS[1:] for value in judged.values(topic)]
    for signal in found:
        signal["day"] = signal["at"] // DAY_MS - 1
    return sorted(found, key=lambda signal: (signal["at"], signal["signal_id"]))


def lanes(*, aggregate: bool = True) -> Iterator[Any]:
    """Return what production runs; a replay leaves the aggregator off."""
    plan, model = load_scoring(ScorerSettings())
    yield usage_lanes(PARTITIONS, plan, model, duplicate_ids=200_000)
    if aggregate:
        yield fleet_lane()
    yield alerter_lanes(load_rules(), AlerterMetrics(CollectorRegistry()))


def everywhere(log: MemoryLog, value: bytes) -> None:
    """Append a control record to every partition."""
    for partition in range(PARTITIONS):
        log.append("usage-events", None, value, partition)


def append(log: MemoryLog, at_ms: int, call: dict[str, Any]) -> None:
    """Append one call as ingest would."""
    account = call["context"]["groupId"]
    event = {
        "event_id": call["messageId"],
        "id_source": "CLIENT",
        "source": "commits",
        "environment": "production",
        "account": account,
        "user": call["userId"],
        "kind": "TRACK",
        "name": call["event"],
        "occurred_at": at_ms,
        "received_at": at_ms,
        "epoch": EPOCH,
        "historical": True,
        "properties": json.dumps(call["properties"]),
    }
    log.append("usage-events", account.encode(), _event(event))


def active(rows: list[Commit], first: int, last: int) -> set[Commit]:
    """Return the user-days of the days from `first` to `last`."""
    return {row for row in rows if first <= row.day <= last}


@pytest.mark.parametrize("account", WENT_SILENT)
def test_an_account_that_stops_for_good_is_said_to_be_silent_soon_after(
    account: str, signals: list[dict[str, Any]], commits: dict[str, list[Commit]]
) -> None:
    last = max(row.day for row in commits[account])
    silent = [s for s in signals if s["account"] == account and s["rule"] == "usage_silent" and s["day"] > last]

    assert silent[0]["transition"] == "FIRING"
    assert 7 < silent[0]["day"] - last <= WITHIN_DAYS
    assert silent[0]["historical"]
    assert [s["resolved_reason"] for s in silent if s["transition"] == "RESOLVED"] in ([], ["expired"])


def test_what_a_signal_says_is_what_the_file_says(
    signals: list[dict[str, Any]], commits: dict[str, list[Commit]]
) -> None:
    checked = 0
    for signal in signals:
        rows, day = commits[signal["account"]], signal["day"]
        said = {item["name"]: item["value"] for item in signal["evidence"]}
        for weeks in (1, 2, 4):
            if f"user_days_{weeks}w" in said:
                assert said[f"user_days_{weeks}w"] == len(active(rows, day - 7 * weeks + 1, day)), signal
                checked += 1
        if "active_users_28" in said:
            assert said["active_users_28"] == len({row.user for row in active(rows, day - 27, day)}), signal
            checked += 1
        if "silent_days" in said:
            latest = max(row.day for row in rows if row.day <= day)
            assert said["silent_days"] == day - latest, signal
            if signal["transition"] != "RESOLVED":
                assert f"since {words(latest)}." in signal["summary"]
            checked += 1
    assert checked > 100


def test_the_turn_of_the_year_is_no_reason_to_worry(signals: list[dict[str, Any]]) -> None:
    alarms = [s for s in signals if s["transition"] == "FIRING" and s["severity"] != "INFO"]
    christmas = [s for s in alarms if is_christmas(s["day"])]
    share_of_days = 2 * 14 / (day_number(END) - day_number(FIRST))

    assert len(alarms) > 20
    assert len(christmas) <= len(alarms) * share_of_days


def test_a_replay_in_other_chunks_gives_the_same_bytes(judged: MemoryLog) -> None:
    log = MemoryLog(PARTITIONS)
    for partition in range(PARTITIONS):
        records = judged.read("usage-events", partition)
        for record in records[: len(records) // 3]:  # the first year; it says as much as all
            log.append("usage-events", record.key, record.value, partition)
    MemoryRunner(log, lanes(aggregate=False), Cuts(chunk=(7, 1, 300), transaction=3)).run()

    for topic in OUTPUTS:
        again, before = per_partition(log, topic), per_partition(judged, topic)
        assert any(again) or topic == "expansion-signals"
        assert again == [part[: len(found)] for part, found in zip(before, again, strict=True)]


def per_partition(log: MemoryLog, topic: str) -> list[list[tuple[bytes | None, bytes | None]]]:
    """Return the records of a topic; their offsets depend on where transactions ended."""
    return [[(record.key, record.value) for record in log.read(topic, p)] for p in range(PARTITIONS)]


def is_christmas(day: int) -> bool:
    """Return whether a day is one of the fortnight from 22 December on."""
    at = datetime.fromtimestamp(day * DAY_S, UTC)
    return (at.month, at.day) >= (12, 22) or (at.month, at.day) <= (1, 4)


def words(day: int) -> str:
    """Write a day as 7 March 2026."""
    at = datetime.fromtimestamp(day * DAY_S, UTC)
    return f"{at.day} {at:%B %Y}"
