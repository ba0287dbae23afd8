"""One's own history: from events on a real log and a list of lost customers to the report of the command."""

from __future__ import annotations

import os
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from schemas import codec
from services.backtest.domain.history import NO_DAY, AccountOutcome
from services.backtest.histories.own import read_log, read_warehouse
from services.backtest.words import speech
from services.cli.past import HistorySource, own
from services.shared.errors import Fatal
from services.shared.kafka.clients import producer
from services.shared.kafka.settings import KafkaSettings
from services.shared.units import DAY_MS
from services.warehouse.clickhouse.store import open_embedded
from tests.contract.warehouse import stored
from tests.support.commands import command_line, run_tool

pytestmark = pytest.mark.integration

DAYS = 330
NOW = time.time_ns() // 1_000_000
TODAY = NOW // DAY_MS
STOPPED = 100
"""Days ago, of the account that was lost 60 days ago."""
_event = codec.encoder("usage_event")


def usage(account: str, user: str, day: int, **changes: Any) -> tuple[bytes, bytes]:
    at = day * DAY_MS + 10 * 3_600_000
    value = {
        "event_id": f"{account}-{user}-{day}", "id_source": "CLIENT", "source": "app", "environment": "production",
        "account": account, "user": user, "kind": "TRACK", "name": "Page Viewed", "occurred_at": at, "received_at": at,
        "historical": True, **changes,
    }  # fmt: skip
    return account.encode(), _event(value)


async def write(kafka: KafkaSettings) -> None:
    """Twelve accounts with three people each; `gone` stops. What does not score is among their events."""
    client = producer(kafka)
    await client.start()
    try:
        topic = kafka.scoped("usage-events")
        for day in range(TODAY - DAYS, TODAY + 1):
            for account in ["gone", *(f"stays-{number}" for number in range(11))]:
                if account == "gone" and day > TODAY - STOPPED:
                    continue
                for user in ("ann", "bob", "cid"):
                    key, value = usage(account, user, day)
                    await client.send(topic, value, key=key)
        for changes in ({"environment": "staging"}, {"internal": True}):
            key, value = usage("gone", "dora", TODAY - 20, event_id=str(changes), **changes)
            await client.send(topic, value, key=key)
        await client.flush()
    finally:
        await client.stop()


def command(kafka: KafkaSettings, *words: str) -> subprocess.CompletedProcess[str]:
    env = {
        **os.environ,
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "TIDEMARK_TOPIC_PREFIX": kafka.topic_prefix,
    }
    return subprocess.run(
        command_line("backtest", *words),
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )


async def test_a_list_of_lost_customers_is_held_against_what_the_log_holds(
    kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    await write(kafka_settings)
    lost = tmp_path / "lost.csv"
    lost_on = (datetime.now(UTC) - timedelta(days=60)).date().isoformat()
    lost.write_text(f"account,date,reason\ngone,{lost_on},price\nnobody,{lost_on},\nstays-1,soon,\n")
    report = tmp_path / "report.md"

    ran = command(kafka_settings, "--outcomes", str(lost), "--markdown", str(report), "--draws", "10")

    assert ran.returncode == 0, ran.stderr
    assert "lost.csv: 1 line was left out, used: 2:\n  line 4: date 'soon' is not a date" in ran.stderr
    assert (
        "Of your 1 lost account Tidemark would have flagged 1, at the median 3" in ran.stdout
    )  # 40 days less the week
    assert "with 0.0 calls in vain a week." in ran.stdout
    text = report.read_text()
    assert "nobody: no event of it in the history: is the id the one that events carry?" in text
    assert "lost.csv, line 4: date 'soon' is not a date" in text
    assert text.index("Of your 1 lost account") < text.index("### Left out")


async def test_only_what_the_scorer_takes_and_days_that_are_over_are_read(kafka_settings: KafkaSettings) -> None:
    await write(kafka_settings)

    history = await read_log(kafka_settings, (), NOW)
    events = list(history.read())

    assert len(events) == DAYS * 36 - (STOPPED - 1) * 3 + 1
    assert events == sorted(events, key=lambda event: event.at_ms)
    assert [event.user for event in events if event.internal] == ["dora"]
    assert history.until_day == TODAY


async def test_a_log_that_is_empty_or_too_long_is_refused_with_what_to_do(kafka_settings: KafkaSettings) -> None:
    with pytest.raises(Fatal, match="there is nothing to test on yet"):
        await read_log(kafka_settings, (), NOW)
    await write(kafka_settings)
    with pytest.raises(Fatal, match="export a part of them to a file"):
        await read_log(kafka_settings, (), NOW, most=100)


def test_the_warehouse_holds_the_same_history(tmp_path: Path) -> None:
    store = open_embedded(tmp_path / "warehouse" / "clickhouse", "tidemark")
    try:
        rows = [
            stored.event(
                offset,
                f"e{offset}",
                account=account,
                user="ann",
                occurred_at=(TODAY - day) * DAY_MS + offset,
                actor="AGENT",
            )
            for offset, (account, day) in enumerate([("acme", 9), ("acme", 7), ("globex", 8), ("acme", 0)])
        ]
        store.insert("events", rows)
        store.insert("events", rows[:2])

        history = read_warehouse(store, (), NOW)
    finally:
        store.close()

    assert [(event.account, TODAY - event.at_ms // DAY_MS) for event in history.read()] == [
        ("acme", 9), ("globex", 8), ("acme", 7),
    ]  # fmt: skip
    assert {(event.actor, event.source) for event in history.read()} == {("AGENT", "web")}


def test_the_losses_that_people_recorded_are_the_list_where_that_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def lost(offset: int, account: str, date: str) -> Any:
        said = f'{{"date":"{date}","reason":"price"}}'
        at = NOW + offset
        return stored.event(offset, f"l{offset}", account=account, name="Account Lost", properties=said, occurred_at=at)

    store = open_embedded(tmp_path / "warehouse" / "clickhouse", "tidemark")
    store.insert("events", [stored.event(1, "e1", account="acme", occurred_at=NOW - 9 * DAY_MS)])
    store.close()
    with pytest.raises(Fatal, match="no loss was recorded: record losses on the pages of accounts"):
        own(HistorySource.WAREHOUSE, (), tmp_path, speech("en"), recorded=True)

    store = open_embedded(tmp_path / "warehouse" / "clickhouse", "tidemark")
    losses = [
        ("acme", "1990-01-03"),
        ("acme", "1990-01-04"),
        ("globex", "2199-01-01"),
        ("initech", "soon"),
        ("acme", "1969-12-31"),
    ]
    store.insert("events", [lost(n, *each) for n, each in enumerate(losses, 2)])
    store.close()
    listed = own(HistorySource.WAREHOUSE, (), tmp_path, speech("en"), recorded=True)
    unasked = own(HistorySource.WAREHOUSE, (), tmp_path, speech("en"), recorded=False)

    assert listed.outcomes == (AccountOutcome("acme", 7308, "lost", "price"), AccountOutcome("initech", NO_DAY))
    assert unasked.outcomes == ()
    without = "recorded as lost without a day, and so in no list: initech: record the loss again with its day"
    assert capsys.readouterr().err.splitlines() == [
        without,
        "1 loss is on record, taken as the list",
        without,
        "1 loss is on record: --recorded takes it as the list",
    ]


def test_a_folder_without_a_warehouse_is_refused_with_what_to_do(tmp_path: Path) -> None:
    ran = run_tool("backtest", "--from", "warehouse", "--data", str(tmp_path))

    assert ran.returncode != 0
    assert "give --data, or set CLICKHOUSE_URL to your server" in ran.stderr
