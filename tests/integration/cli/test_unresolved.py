"""Users without an account: listed out of the state of the lanes, resolved by a file, their events brought back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from schemas import codec
from schemas.topics import DEAD_LETTERS, SCORER_USAGE_UNATTRIBUTED_STATE, USAGE_EVENTS, USAGE_UNATTRIBUTED
from services.backfill.rows import BadFile
from services.cli import ledger_audit
from services.cli.account_aliases import apply
from services.cli.lane_counters import read_counters
from services.cli.resolving import read_file, read_users, resolve, withdraw
from services.cli.unresolved import unresolved
from services.ingest.domain.accounts import read_accounts
from services.scorer.domain.attribution.ledger import AttributionCounters
from services.shared.attribution_wait import NotAttributed
from services.shared.engine.position import POSITION_KEY, Position
from services.shared.kafka.clients import producer
from services.shared.kafka.reading import ends, scan
from services.shared.kafka.settings import KafkaSettings
from tests.support.attribution import ANON, AttributionLane, Log, read
from tests.support.ingest import PSEUDONYMS
from tests.support.ingest import user as pseudonym
from tests.support.scorer import at
from tests.support.scorer_group import scorer_group
from tests.support.waiting import until

KIM, LEE = pseudonym("kim"), pseudonym("lee@example.com")


@pytest.fixture
def partitions() -> int:
    """As many as the tests name."""
    return 4


async def publish(kafka: KafkaSettings, topic: str, records: list[tuple[bytes | None, bytes | None, int]]) -> None:
    async with producer(kafka) as out:
        for key, value, partition in records:
            await out.send_and_wait(kafka.scoped(topic), value, key=key, partition=partition)


def test_a_file_names_users_by_their_id_or_their_pseudonym(tmp_path: Path) -> None:
    file = tmp_path / "users.csv"
    file.write_text(f"user,account\nkim,acme\n{LEE},globex\n,acme\njo,\nkim,initech\n")

    accounts, problems = read_file(file, PSEUDONYMS)

    assert accounts == {KIM: "acme", LEE: "globex"}
    assert problems == [
        "line 4: user is empty", "line 5: account is empty", "line 6: kim has another account above; a user has one",
    ]  # fmt: skip


def test_an_account_that_no_event_could_name_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "users.csv"
    file.write_text(f"user,account\nkim,{'a' * 257}\nlee@example.com,{'a' * 256}\n")

    accounts, problems = read_file(file, PSEUDONYMS)

    assert accounts == {LEE: "a" * 256}
    assert problems == ["line 2: account is longer than 256 characters"]


def test_a_file_that_is_not_utf8_is_refused_with_the_place(tmp_path: Path) -> None:
    file = tmp_path / "users.csv"
    file.write_bytes("user,account\nMüller,acme\n".encode("latin-1"))

    with pytest.raises(BadFile, match=r"users.csv: line 2 is not UTF-8 \(byte 2 of the line\): save it as UTF-8"):
        read_file(file, PSEUDONYMS)


def test_to_withdraw_a_file_needs_its_users_alone(tmp_path: Path) -> None:
    file = tmp_path / "users.csv"
    file.write_text(f'user\nkim\n{LEE}\n\n""\nkim\n')
    assert read_users(file, PSEUDONYMS) == ([KIM, LEE], ["line 5: user is empty"])

    file.write_text("user,account\nkim,acme\n")
    assert read_users(file, PSEUDONYMS) == ([KIM], [])
    file.write_text("id\nkim\n")
    with pytest.raises(BadFile, match="there is no column user"):
        read_users(file, PSEUDONYMS)


def test_a_file_without_the_columns_says_which(tmp_path: Path) -> None:
    file = tmp_path / "users.csv"
    file.write_text("id,account\nkim,acme\n")

    with pytest.raises(BadFile, match="there is no column user"):
        read_file(file, PSEUDONYMS)


def test_a_comma_that_is_not_quoted_makes_no_other_account(tmp_path: Path) -> None:
    file = tmp_path / "users.csv"
    file.write_text(f"user,account\n{KIM},acme\n{LEE},Sheep, Inc.\n")

    assert read_file(file, PSEUDONYMS) == (
        {KIM: "acme"},
        ["line 3: it has more cells than the first line has columns"],
    )


def test_a_column_that_is_there_twice_is_not_guessed(tmp_path: Path) -> None:
    file = tmp_path / "users.csv"
    file.write_text(f"user,account,account\n{KIM},acme,hooli\n")

    with pytest.raises(BadFile, match="more than one column is named account"):
        read_file(file, PSEUDONYMS)


def test_a_quote_that_is_not_closed_hides_no_users(tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text('user,account,note\nkim,acme,"asked\nlee,globex,\n')

    with pytest.raises(BadFile, match=f"{file}, line 2: unexpected end of data: is a quote opened and not closed"):
        read_file(file, PSEUDONYMS)


@pytest.mark.integration
async def test_the_users_whose_events_wait_are_listed_with_the_reason(kafka_settings: KafkaSettings) -> None:
    lane = AttributionLane()
    for number in range(3):
        lane.event(f"k{number}", KIM, at(0, 2 + number))
    lane.link("NAMED", LEE, "a")
    lane.link("NAMED", LEE, "b")
    lane.event("l", LEE, at(0, 9))
    lane.event("v", ANON)
    lane.event("gone", "u_jo")
    lane.member("acme", user="u_jo")
    records: list[tuple[bytes | None, bytes | None, int]] = [
        (key, value, 2) for key, value in {**lane.state_records(), POSITION_KEY: Position(0).encode()}.items()
    ]
    await publish(kafka_settings, SCORER_USAGE_UNATTRIBUTED_STATE, records)

    found = await unresolved(kafka_settings)

    assert [(u.user, u.events, u.since_ms, u.reason, u.partition) for u in found] == [
        (KIM, 3, at(0, 2), "no_account", 2),
        (LEE, 1, at(0, 9), "several_accounts", 2),
    ]
    lanes = await read_counters(kafka_settings, SCORER_USAGE_UNATTRIBUTED_STATE, AttributionCounters)
    assert lanes[2][1].waiting_identified == 4


async def log_on(kafka: KafkaSettings, log: Log) -> None:
    """Put what lanes in memory have read and written on the topics, at the same offsets where these matter."""
    for topic in (
        USAGE_UNATTRIBUTED,
        USAGE_EVENTS,
        DEAD_LETTERS,
        SCORER_USAGE_UNATTRIBUTED_STATE,
        "scorer-usage-events-state",
    ):
        records = [(r.key, r.value, r.partition) for r in log.memory.records(topic)]
        await publish(kafka, topic, records)


async def given_up(kafka: KafkaSettings, of_kim: int) -> Log:
    """So many events of Kim and one of Lee, whose accounts nobody has named within a week."""
    log = Log(kafka.partitions)
    log.tick(at())
    for number in range(of_kim):
        log.event(f"k{number}", KIM, at(0, 1))
    log.event("l", LEE, at(0, 1))
    log.tick(at(7, 1))
    log.tick(at(7, 2))
    log.control("clock", {"mode": "ACCEPT", "epoch": 0, "at": at(7, 2)})
    log.runner().run()
    await log_on(kafka, log)
    return log


@pytest.mark.integration
async def test_what_was_given_up_of_somebody_who_was_erased_since_stays_out(kafka_settings: KafkaSettings) -> None:
    await given_up(kafka_settings, 1)
    order = codec.encoder("erasure")({"user": KIM, "at": at(7, 3)})
    await publish(kafka_settings, DEAD_LETTERS, [(KIM.encode(), order, 0)])

    assert await resolve(kafka_settings, {KIM: "acme", LEE: "globex"}) == (2, 1, 0, 1)

    events = [codec.decode(record.value or b"") async for record in scan(kafka_settings, USAGE_UNATTRIBUTED)]
    assert [value["event_id"] for name, value in events if name == "usage_event" and value["forwards"]] == ["l"]


@pytest.mark.integration
async def test_what_was_given_up_comes_back_once_and_the_ledger_closes(kafka_settings: KafkaSettings) -> None:
    # Given users whose events were given up,
    log = await given_up(kafka_settings, 4)
    ledger = await ledger_audit.read(kafka_settings)
    assert (ledger.problems, ledger.without_account("unresolved")) == ([], 5)

    # when the account of one of them is said, twice,
    first = await resolve(kafka_settings, {KIM: "acme"})
    second = await resolve(kafka_settings, {KIM: "acme"})
    assert (first, second) == ((1, 4, 0, 0), (1, 0, 4, 0))

    # then the lanes forward what is sent in again, once, and the ledger closes over it.
    written: list[dict[str, Any]] = []
    async for record in scan(kafka_settings, USAGE_UNATTRIBUTED):
        value = codec.decode(record.value or b"")[1]
        if value.get("forwards") or value.get("authority") == "OPERATOR":
            written.append(value)
            log.memory.append(USAGE_UNATTRIBUTED, record.key, record.value)
    assert [value["event_id"] for value in written if "event_id" in value and value.get("name")] == [
        "k0",
        "k1",
        "k2",
        "k3",
    ]
    runner = log.runner()
    runner.run()
    events = [read(value) for value in log.memory.values(USAGE_EVENTS, b"acme")]
    assert sorted(value["event_id"] for value in events) == ["k0", "k1", "k2", "k3"]
    assert {(value["via"], value["forwards"]) for value in events} == {("OPERATOR", 2)}


@pytest.mark.integration
async def test_what_was_resolved_is_withdrawn_and_calls_decide_again(kafka_settings: KafkaSettings) -> None:
    await resolve(kafka_settings, {KIM: "acme"})
    assert await withdraw(kafka_settings, [KIM, "u_of_whom_nobody_said_"]) == (1, 1)
    assert await withdraw(kafka_settings, [KIM]) == (0, 1)
    log = Log(kafka_settings.partitions)
    log.tick(at())
    log.link("MEMBER", KIM, "globex", at(0, 1))
    log.event("before", KIM, at(0, 2))
    written = [record async for record in scan(kafka_settings, USAGE_UNATTRIBUTED) if record.key == KIM.encode()]
    log.memory.append(USAGE_UNATTRIBUTED, written[0].key, written[0].value)
    log.event("resolved", KIM, at(0, 3))
    log.memory.append(USAGE_UNATTRIBUTED, written[1].key, written[1].value)
    log.event("withdrawn", KIM, at(0, 4))
    log.runner().run()

    events = [read(value) for value in log.memory.values(USAGE_EVENTS) if codec.decode(value)[0] == "usage_event"]
    assert sorted((value["event_id"], value["account"]) for value in events) == [
        ("before", "globex"), ("resolved", "acme"), ("withdrawn", "globex"),
    ]  # fmt: skip


@pytest.mark.integration
async def test_aliases_reach_every_partition_and_the_merged_accounts_end_once_they_are_read(
    kafka_settings: KafkaSettings,
) -> None:
    book = read_accounts({"aliases": {"crm-17": "acme", "crm-18": "globex"}})

    # While nobody reads them, no account is forgotten, and the operator is told what to do.
    with pytest.raises(NotAttributed, match="no account is forgotten yet. Start the scorer"):
        await apply(kafka_settings, book, within_s=1)
    tables = [
        (r.partition, codec.decode(r.value or b"")[1]["aliases"])
        async for r in scan(kafka_settings, USAGE_UNATTRIBUTED)
    ]
    assert sorted(tables) == [(n, {"crm-17": "acme", "crm-18": "globex"}) for n in range(kafka_settings.partitions)]
    assert [r async for r in scan(kafka_settings, USAGE_EVENTS)] == []

    # Once the lanes of a scorer have committed them, they are.
    read = dict.fromkeys(range(kafka_settings.partitions), 2)  # those of both runs

    async def written() -> bool:
        return await ends(kafka_settings, USAGE_UNATTRIBUTED) == read

    async with scorer_group(kafka_settings) as group:
        applying = asyncio.create_task(apply(kafka_settings, book, within_s=30))
        await until(written)
        await group.has_read({partition: end for partition, end in read.items() if partition})
        await asyncio.wait({applying}, timeout=0.5)
        assert not applying.done()
        await group.has_read({0: 2})
        assert await applying == 2

    orders = [(r.key, codec.decode(r.value or b"")[1]["command"]) async for r in scan(kafka_settings, USAGE_EVENTS)]
    assert sorted(orders) == [(b"crm-17", "FORGET"), (b"crm-18", "FORGET")]
