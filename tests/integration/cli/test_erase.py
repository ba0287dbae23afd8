"""`tidemark erase` through every process, and then a search for the person in every topic, table and file."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from schemas.topics import TOPICS
from services.cli.rejected.erased import ERASED
from services.scorer.domain.accounts.actors import person_of
from services.shared.kafka.reading import decoded, scan
from services.shared.kafka.settings import KafkaSettings
from services.warehouse.clickhouse.store import ClickHouseStore, open_embedded
from tests.support.commands import Ran, run_tool
from tests.support.ingest import user, visitor
from tests.support.keys import entry
from tests.support.service_process import ServiceProcess
from tests.support.waiting import until, wait_until

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(420)]

JO, KIM, BROWSER = "jo.doe@acme.example", "kim.lee@acme.example", "browser-of-jo-0815"
LEA, FORMER = "lea@initech.example", "lea.before@initech.example"
MAX, MAX_BEFORE = "anonymous:max@initech.example", "max.before@initech.example"
PAT, PAT_BEFORE = "pat@umbrella.example", "pat.before@umbrella.example"
PERSONAL = {"usage-details", "usage-rejected"}


@asynccontextmanager
async def stack(kafka: KafkaSettings, folder: Path) -> AsyncIterator[dict[str, ServiceProcess]]:
    keys = folder / "keys.yaml"
    keys.write_text(entry("wk", "web"))
    processes = {
        "ingest": ServiceProcess("ingest", kafka, folder, TIDEMARK_WRITE_KEYS_FILE=str(keys)),
        "scorer": ServiceProcess("scorer", kafka, folder, TIDEMARK_ENGINE_INSTANCE="scorer-of-erasures"),
        "alerter": ServiceProcess("alerter", kafka, folder, TIDEMARK_ENGINE_INSTANCE="alerter-of-erasures"),
        "warehouse": ServiceProcess("warehouse", kafka, folder),
    }
    async with AsyncExitStack() as running:
        for process in processes.values():
            await process.start()
            running.push_async_callback(process.kill)
        for process in processes.values():
            await until(process.ready, 120)
        yield processes


def batch() -> list[dict[str, Any]]:
    jo: dict[str, Any] = {"userId": JO, "anonymousId": BROWSER, "context": {"groupId": "acme", "ip": "198.51.100.7"}}
    kim: dict[str, Any] = {"userId": KIM, "context": {"groupId": "acme"}}
    calls: list[dict[str, Any]] = [
        {"type": "page", "name": "Pricing", "anonymousId": BROWSER},
        {"type": "identify", **jo, "traits": {"email": JO, "phone": "+49 30 12345"}},
        {"type": "group", **jo, "groupId": "acme", "traits": {"name": "Acme"}},
        {"type": "track", "event": "NPS Submitted", "properties": {"score": 2, "why": f"says {JO}"}, **jo},
        *({"type": "track", "event": "Report Shared", **each} for each in (jo, kim, kim)),
        {"type": "track", "event": "Report Shared", **kim, "context": {"groupId": "globex"}},
        *renamed(FORMER, LEA),
        *renamed(MAX_BEFORE, MAX),
        *({**call, "context": {"groupId": "umbrella"}} for call in renamed(PAT_BEFORE, PAT)),
        {"type": "track", "event": "", **jo},  # is refused, and kept as it was sent
    ]
    return [{**call, "messageId": f"m{number}"} for number, call in enumerate(calls)]


def renamed(former: str, now: str) -> list[dict[str, Any]]:
    """Return the calls of somebody who gets another user id."""
    return [
        {"type": "identify", "userId": former, "traits": {"email": former}},
        {"type": "track", "event": "Report Shared", "userId": former},
        {"type": "alias", "userId": now, "previousId": former},
        {"type": "group", "userId": now, "groupId": "initech"},
        {"type": "track", "event": "Report Shared", "userId": now},
    ]


async def erase(kafka: KafkaSettings, warehouse: ServiceProcess, *arguments: str) -> Ran:
    return await tool(kafka, warehouse, "erase", *arguments)


async def tool(kafka: KafkaSettings, warehouse: ServiceProcess, *arguments: str) -> Ran:
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "TIDEMARK_TOPIC_PREFIX": kafka.topic_prefix,
        "TIDEMARK_PARTITIONS": str(kafka.partitions),
        "TIDEMARK_WAREHOUSE_URL": f"http://127.0.0.1:{warehouse.port}",
    }
    return await asyncio.to_thread(run_tool, *arguments, **environment)  # it runs a loop of its own


async def in_topics(kafka: KafkaSettings, *texts: bytes, topics: Iterable[str] = TOPICS) -> set[str]:
    """Return the topics with a record that holds one of these; of compacted ones the last record of each key counts."""
    found = set()
    for topic in topics:
        record = TOPICS[topic]
        kept: dict[Any, bytes] = {}
        async for each in scan(kafka, topic):
            key = each.key if record.cleanup == "compact" else (each.partition, each.offset)
            kept[(each.partition, key)] = (each.key or b"") + (each.value or b"") if each.value is not None else b""
        if any(text in value for value in kept.values() for text in texts):
            found.add(topic)
    return found


async def orders_on_the_log(kafka: KafkaSettings) -> list[str]:
    """Return what was ordered of people, each kind once, in the order in which the broker took them."""
    found = []
    for topic in ("usage-unattributed", "usage-events", "usage-details"):
        async for each in scan(kafka, topic):
            name, value = decoded(each.value)
            if name == "erasure" or value.get("authority") == "OPERATOR":
                found.append((each.timestamp, value.get("kind", name)))
    return list(dict.fromkeys(kind for _, kind in sorted(found)))


def in_tables(store: ClickHouseStore, *texts: str) -> set[str]:
    tables = "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
    found = set()
    for (table,) in store._writer.query(tables).result_rows:
        rows = store._writer.raw_query(f"SELECT * FROM {table} FORMAT JSONEachRow")
        found |= {table for text in texts if text.encode() in rows}
    return found


def in_files(folder: Path, text: str) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and text.encode() in path.read_bytes():
            yield path


def drop_old_parts(store: ClickHouseStore) -> None:
    """
    Let the engine delete the files of rows that are gone now; by itself it does after eight minutes.

    It may keep a part without rows for longer ("waiting for covered parts"); such a part holds nothing of anybody.
    """
    tables = "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
    names = [name for (name,) in store._writer.query(tables).result_rows]
    for table in names:
        store._writer.command(
            f"ALTER TABLE {table} MODIFY SETTING old_parts_lifetime = 0, merge_tree_clear_old_parts_interval_seconds = 1"
        )
    parts = (
        "SELECT table, name, rows, refcount, removal_state FROM system.parts"
        " WHERE database = currentDatabase() AND NOT active AND rows > 0"
    )
    left: list[Any] = []

    def are_gone() -> bool:
        # The engine looks at an idle table ever more seldom, every ten minutes at last; this wakes it.
        for table in names:
            store._writer.command(f"SYSTEM START MERGES {table}")
        left[:] = store._writer.query(parts).result_rows
        return not left

    wait_until(are_gone, 60, lambda: f"the engine keeps {left}")


async def test_after_an_erasure_the_person_is_nowhere_but_where_the_report_says(
    kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    pseudonyms = (user(JO), visitor(BROWSER))
    hashes = [person_of(each).to_bytes(8, "little") for each in pseudonyms]
    secret = [each.encode() for each in pseudonyms]
    async with stack(kafka_settings, tmp_path) as processes, httpx.AsyncClient(timeout=30) as http:
        warehouse = f"http://127.0.0.1:{processes['warehouse'].port}"
        answer = await http.post(
            f"http://127.0.0.1:{processes['ingest'].port}/v1/batch", auth=("wk", ""), json={"batch": batch()}
        )
        assert answer.status_code == 200, answer.text

        async def traces(path: str) -> dict[str, Any]:
            return dict((await http.get(f"{warehouse}/v1/traces/{path}")).json())

        async def all_is_there() -> bool:
            rows = (await traces(f"people/{user(JO)}"))["rows"]
            return rows.get("signals", 0) > 0 and rows.get("event_details", 0) >= 5 and "events" in rows

        await until(all_is_there, 120)
        # The search finds what is there: before, Jo is everywhere.
        assert await in_topics(kafka_settings, JO.encode()) == PERSONAL
        before = await in_topics(kafka_settings, *secret, *hashes)
        assert {
            "usage-events",
            "account-health-latest",
            "open-signals",
            "scorer-usage-events-state",
            "scorer-usage-unattributed-state",
        } <= before
        health = (await http.get(f"{warehouse}/v1/accounts/acme")).json()

        status, out, wrong = await tool(kafka_settings, processes["warehouse"], "disclose", "--user", JO)
        who, *told = map(json.loads, out.splitlines())
        assert (status, who["pseudonyms"], who["accounts"]) == (0, list(pseudonyms), ["acme"])
        assert {"events", "event_details", "people", "account_health", "signals"} <= {each["table"] for each in told}
        assert {each["user"] for each in told if "user" in each} == set(pseudonyms)
        assert (KIM in out, JO in out, "Not among these rows" in wrong) == (False, True, True)
        status, _, wrong = await tool(kafka_settings, processes["warehouse"], "disclose", "--user", JO.upper())
        assert (status, "nothing is held of" in wrong) == (1, True)

        status, _, wrong = await erase(kafka_settings, processes["warehouse"], "--user", JO)
        assert (status, "give --yes" in wrong) == (2, True)
        for whom in (["--anonymous", ""], ["--user", ""], ["--user", " "], ["--account", " "]):
            status, _, wrong = await erase(kafka_settings, processes["warehouse"], *whom, "--yes")
            assert (status, "is empty" in wrong) == (2, True)
        assert await orders_on_the_log(kafka_settings) == []
        status, out, wrong = await erase(kafka_settings, processes["warehouse"], "--user", JO, "--yes", "--json")
        assert (status, wrong) == (0, ""), out
        report = json.loads(out)
        assert report["pseudonyms"] == list(pseudonyms)
        assert report["accounts"] == ["acme"]
        assert report["removed"]["event_details"] >= 5
        assert report["removed"]["people"] == 1
        assert report["left"] == {}
        assert await orders_on_the_log(kafka_settings) == ["FORGOTTEN", "SAME", "erasure"]
        for whom in (["--user", JO.upper()], ["--account", "Acme"]):
            status, _, wrong = await erase(kafka_settings, processes["warehouse"], *whom, "--yes")
            assert (status, "nothing was found of" in wrong) == (1, True)

        _, out, _ = await tool(kafka_settings, processes["warehouse"], "rejected", "replay", "--dry-run", "--json")
        assert (json.loads(out)["ways"], json.loads(out)["left"]) == ({}, {ERASED: 1})

        async def let_go() -> bool:
            """The account is evaluated again with the next tick."""
            still[:] = sorted(await in_topics(kafka_settings, *secret, *hashes, topics=compacted))
            return not still

        # A signal that is open keeps its text until it ends.
        compacted = {name for name, topic in TOPICS.items() if topic.cleanup == "compact"} - {"open-signals"}
        still: list[str] = []
        await until(let_go, 90, lambda: f"still in {still}")
        kept = {each["topic"] for each in report["kept"]}
        assert await in_topics(kafka_settings, JO.encode(), BROWSER.encode()) == PERSONAL
        assert await in_topics(kafka_settings, *secret) <= kept
        assert min(each["until"] for each in report["kept"] if each["topic"] in PERSONAL) > time.strftime("%Y-%m-%d")
        after = (await http.get(f"{warehouse}/v1/accounts/acme")).json()
        assert after["activity"] == health["activity"]
        assert after["health"]["lowest_user"] not in ("", JO, *pseudonyms)

        status, out, _ = await erase(kafka_settings, processes["warehouse"], "--user", user(JO), "--yes", "--json")
        assert (status, json.loads(out)["removed"]) == (0, {})

        status, out, wrong = await erase(kafka_settings, processes["warehouse"], "--account", "acme", "--yes", "--json")
        assert (status, wrong) == (0, ""), out
        assert json.loads(out)["removed"].keys() >= {"events", "event_details", "account_health", "signals"}
        assert (await traces("accounts/acme"))["rows"] == {}
        assert (await http.get(f"{warehouse}/v1/accounts/acme")).status_code == 404
        assert (await traces("accounts/globex"))["rows"]["events"] == 1
        assert (await http.get(f"{warehouse}/v1/people/{user(KIM)}")).json()["user_id"] == KIM

        # Lea has had another id, and goes with it.
        status, out, _ = await erase(
            kafka_settings, processes["warehouse"], "--user", LEA, "--linked", "--yes", "--json"
        )
        assert (status, json.loads(out)["linked"], json.loads(out)["others"]) == (0, [FORMER], [])
        assert (await traces(f"people/{user(FORMER)}"))["rows"] == {}
        # Max has had one too, and nobody said that it goes with him.
        status, out, _ = await erase(kafka_settings, processes["warehouse"], "--user", MAX, "--yes", "--json")
        assert (status, json.loads(out)["others"]) == (1, [MAX_BEFORE])
        assert (await traces(f"people/{user(MAX_BEFORE)}"))["rows"]["event_details"] > 0
        status, out, _ = await erase(kafka_settings, processes["warehouse"], "--user", MAX_BEFORE, "--yes", "--json")
        assert (status, json.loads(out)["others"]) == (0, [])

        # Pat's events all name their account, so none went from one id to the other.
        status, out, _ = await erase(kafka_settings, processes["warehouse"], "--user", PAT, "--yes", "--json")
        assert (status, json.loads(out)["others"]) == (1, [PAT_BEFORE])
        status, out, _ = await erase(kafka_settings, processes["warehouse"], "--user", PAT_BEFORE, "--yes", "--json")
        assert (status, json.loads(out)["others"]) == (0, [])

        assert await processes["warehouse"].stop() == 0
        status, _, wrong = await erase(kafka_settings, processes["warehouse"], "--user", KIM, "--yes")
        assert (status, "Start it" in wrong) == (1, True)

    store = open_embedded(tmp_path / "clickhouse", "tidemark")
    try:
        assert in_tables(store, KIM)  # the search finds what is there
        assert in_tables(store, JO, BROWSER, LEA, FORMER, MAX, MAX_BEFORE) == set()
        assert in_tables(store, *pseudonyms) == {"erasures"}  # for as long as the topic of the order keeps it
        drop_old_parts(store)
    finally:
        store.close()
    assert list(in_files(tmp_path, JO)) == []
