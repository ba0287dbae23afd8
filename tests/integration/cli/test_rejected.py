"""Dead letters are listed, shown and replayed once, however often the replay runs; the ledger closes."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner, Result

from schemas import codec
from services.cli import ledger_audit
from services.cli.commands import rejected
from services.cli.rejected.erased import ERASED, AccountNames, Erased
from services.cli.rejected.letters import Letter, Wanted, stretches
from services.cli.rejected.replaying import Replayer
from services.ingest.__main__ import application, server_options
from services.ingest.event_log.kafka import KafkaEventLog
from services.ingest.metrics import IngestMetrics
from services.ingest.settings import IngestSettings
from services.ingest.write_keys.keys import WriteKey, WriteKeys
from services.shared.dead_letters import DeadLetter
from services.shared.http.server import serving
from services.shared.kafka.clients import producer
from services.shared.kafka.reading import scan
from services.shared.kafka.settings import KafkaSettings
from services.shared.units import HOUR_MS
from tests.support.ingest import PSEUDONYMS, user
from tests.support.scorer import event
from tests.support.service_process import ServiceProcess
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

KEYS = {
    "web": WriteKey("", "web", client="server"),
    "web-past": WriteKey("", "web", client="server", backfill=True),
    "app-past": WriteKey("", "app", client="server", backfill=True),
}
MENDED = {"account_fields": "workspace_id"}
"""The mapping that knows where a release puts the account."""
EVERYTHING = Wanted(since=0)


@dataclass
class Installation:
    """The topics of a test, ingest on demand, and the tool."""

    kafka: KafkaSettings
    url: str = ""

    @asynccontextmanager
    async def ingest(self, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
        """Run ingest over the real log, with limits and mappings of its own."""
        chosen = IngestSettings().model_copy(update=settings)
        metrics = IngestMetrics(CollectorRegistry())
        log = KafkaEventLog(self.kafka, chosen.bounds(), metrics)
        app = application(log, WriteKeys(KEYS, metrics=metrics), metrics, chosen)
        log.start()
        try:
            async with serving(app, "127.0.0.1", 0, **server_options(chosen)) as port:
                self.url = f"http://127.0.0.1:{port}"
                async with httpx.AsyncClient(base_url=self.url, auth=("web", "")) as client:
                    await until(lambda: log.not_ready() is None)
                    yield client
        finally:
            await log.close()

    async def tool(self, *arguments: str, key: str = "web-past", **more: str) -> Result:
        """Run `tidemark rejected`."""
        app = typer.Typer()
        app.callback()(lambda: None)
        rejected.register(app)
        environment = {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "TIDEMARK_TOPIC_PREFIX": self.kafka.topic_prefix,
            "TIDEMARK_PARTITIONS": str(self.kafka.partitions),
            "TIDEMARK_INGEST_URL": self.url,
            "TIDEMARK_BACKFILL_KEY": key,
            **more,
        }
        return await asyncio.to_thread(CliRunner().invoke, app, ["rejected", *arguments], env=environment)

    async def replay(self, *options: str, key: str = "web-past", **more: str) -> dict[str, Any]:
        """Replay everything and return what was said of it."""
        result = await self.tool("replay", "--yes", "--json", *options, key=key, **more)
        assert result.stdout, (result.output, result.exception)
        said: dict[str, Any] = json.loads(result.stdout)
        assert result.exit_code == (3 if said["refused"] else 0)
        return said

    async def records(self, topic: str = "usage-events") -> list[dict[str, Any]]:
        """Return the records of a topic."""
        return [codec.decode(record.value)[1] async for record in scan(self.kafka, topic)]


@pytest.fixture
def installation(kafka_settings: KafkaSettings) -> Installation:
    return Installation(kafka_settings)


class Interrupted(Exception):
    """The replay ends."""


class InterruptedReplayer(Replayer):
    """Ends after ingest has taken originals, before that is said beside their letters."""

    async def _say_replayed(self, letters: Sequence[Letter]) -> None:
        raise Interrupted


async def interrupted_replay(installation: Installation) -> None:
    places = await stretches(installation.kafka, EVERYTHING)
    erased = Erased(lambda: PSEUDONYMS, AccountNames())
    async with InterruptedReplayer(
        installation.kafka, installation.url, lambda *_: "web-past", erased=erased
    ) as replayer:
        with pytest.raises(Interrupted):
            await replayer.replay(places, EVERYTHING)


def track(**members: Any) -> dict[str, Any]:
    return {"type": "track", "event": "Report Shared", "properties": {"workspace_id": "acme"}, **members}


async def test_what_a_release_got_wrong_is_listed_and_counted_once_after_the_mapping_is_mended(
    installation: Installation, tmp_path: Path
) -> None:
    ahead = 3 * HOUR_MS  # the client's clock
    now = time.time_ns() // 1_000_000
    with_id = track(messageId="m1", timestamp=now + ahead - 60_000)
    with_time, bare = track(timestamp=now + ahead - 120_000), track()
    wrong = track(messageId="m2", userId="ann") | {"properties": "none"}
    batch = {"batch": [with_id, with_time, wrong, bare], "sentAt": now + ahead, "context": {"library": {"name": "x"}}}
    async with installation.ingest(account_fields="account_id") as client:
        answer = (await client.post("/v1/batch", json=batch)).json()
    assert answer["rejected"] == 4
    listed = json.loads((await installation.tool("list", "--json")).stdout)

    async with installation.ingest(**MENDED):
        await interrupted_replay(installation)
        first = await installation.replay()
        second = await installation.replay()

    assert {(g["reason"], g["source"], g["count"]) for g in listed["summary"]} == {
        ("missing_identity", "web", 3),
        ("wrong_type", "web", 1),
    }
    assert [line["event_id"] for line in listed["letters"]] == ["m1", "", "m2", ""]
    assert (first["letters"], first["accepted"], first["refused"]["wrong_type"]["count"]) == (3, 3, 1)
    assert (second["letters"], second["accepted"], second["refused"]["wrong_type"]["count"]) == (0, 0, 1)
    assert second["left"] == {"it was replayed before": 3}
    stored = await installation.records()
    assert len(stored) == 6  # two replays came to ingest; nothing but the ids makes that harmless
    by_id = {each["event_id"]: each for each in stored}
    assert len(by_id) == 3 and "m1" in by_id
    received = next(each["rejected_at"] for each in await installation.records("usage-rejected") if "by" in each)
    content = next(name for name in by_id if name.startswith("content-"))
    letter = next(name for name in by_id if name.startswith("letter-"))
    assert {name: each["occurred_at"] for name, each in by_id.items()} == {
        "m1": received - 60_000, content: received - 120_000, letter: received,
    }  # fmt: skip
    assert all(each["account"] == "acme" and each["received_at"] > received for each in stored)
    assert not any(each["historical"] for each in stored)
    assert len([each for each in await installation.records("usage-rejected") if "by" in each]) == 4

    scorer = ServiceProcess("scorer", installation.kafka, tmp_path, TIDEMARK_ENGINE_INSTANCE="scorer-of-a-replay")
    await scorer.start()

    async def counted() -> bool:
        return not (await ledger_audit.read(installation.kafka)).total("in_flight")

    try:
        await until(counted, within_s=60)
        ledger = await ledger_audit.read(installation.kafka)
    finally:
        await scorer.kill()
    assert (ledger.problems, ledger.total("applied"), ledger.total("duplicates"), ledger.rejected) == ([], 3, 3, 4)


async def test_a_body_that_was_refused_as_a_whole_goes_again_as_it_was(installation: Installation) -> None:
    body = gzip.compress(json.dumps({"batch": [track(groupId="a"), track(groupId="a")]}).encode())
    async with installation.ingest(max_batch_events=1) as client:
        answer = await client.post("/v1/batch", content=body, headers={"Content-Encoding": "gzip"})
    assert answer.json()["code"] == "batch_too_long"

    async with installation.ingest():
        await interrupted_replay(installation)
        first, second = await installation.replay(), await installation.replay()

    assert (first["letters"], first["accepted"], second["letters"]) == (1, 2, 0)
    stored = await installation.records()
    letter = (await installation.records("usage-rejected"))[0]
    assert len(stored) == 4
    assert len({each["event_id"] for each in stored}) == 2
    assert {each["occurred_at"] for each in stored} == {letter["rejected_at"]}


async def test_a_replay_goes_by_a_key_of_the_letters_source(installation: Installation) -> None:
    """Unless somebody says that any will do."""
    async with installation.ingest(account_fields="account_id") as client:
        for number in range(3):
            single = {"event": "x", "properties": {"workspace_id": "acme"}, "messageId": str(number)}
            assert (await client.post("/v1/track", json=single)).status_code == 400

    async with installation.ingest(**MENDED):
        public = await installation.tool("replay", "--yes", key="web")
        unknown = await installation.tool("replay", "--yes", key="nobody")
        other = await installation.replay(key="app-past")
        limited = await installation.replay("--limit", "1")
        forced = await installation.replay("--any-source", key="app-past")

    assert "backfill: true" in str(public.exception) and "401" in str(unknown.exception)
    assert (other["letters"], other["left"]) == (0, {"the write key is of another source or environment": 3})
    assert (limited["letters"], forced["letters"]) == (1, 2)
    assert sorted(each["source"] for each in await installation.records()) == ["app", "app", "web"]
    letters = [each for each in await installation.records("usage-rejected") if "by" in each]
    assert len(letters) == 3, "a replay that is refused writes no letter of its own"


async def test_records_of_lanes_are_appended_again_under_their_keys(installation: Installation) -> None:
    kafka = installation.kafka
    encode = codec.encoder("usage_event")
    async with producer(kafka) as out:

        async def dead(topic: str, reason: str, value: bytes, key: bytes, by: str = "scorer") -> None:
            sent = await out.send_and_wait(kafka.scoped(topic), value, key)
            letter = DeadLetter(
                by=by, reason=reason, field="", detail="d", original=value, keep=4,
                origin=f"{topic}/{sent.partition}/{sent.offset}",
            )  # fmt: skip
            await out.send_and_wait(kafka.scoped("dead-letters"), letter.encode(), letter.key)

        await dead("usage-events", "fold_raised", encode(event("raised")), b"acme")
        await dead("usage-events", "too_late", encode(event("late")), b"acme")
        await dead("usage-events", "undecodable", b"junk", b"other")
        await dead("usage-unattributed", "no_account", encode(event("lost", "", "u")), b"u", by="attribution")
        await dead("account-health", "fold_raised", b"snapshot", b"acme", by="alerter")

    planned = json.loads((await installation.tool("replay", "--dry-run", "--json")).stdout)
    first, second = await installation.replay(), await installation.replay()

    assert planned["ways"] == {"record": 2}
    assert first["appended"] == first["letters"] == 2
    assert set(first["left"]) == {
        "it is older than anything that is remembered, and would be too late again",
        "say where its user belongs: `tidemark accounts resolve` sends it in again",
        "it is a record of account-health, which its service writes anew",
    }
    assert (second["appended"], second["left"]["it was replayed before"]) == (0, 2)
    found = [record async for record in scan(kafka, "usage-events")]
    for value, key in ((encode(event("raised")), b"acme"), (b"junk", b"other")):
        same = [record for record in found if record.value == value]
        assert [record.key for record in same] == [key, key]
        assert len({record.partition for record in same}) == 1
        assert dict(same[1].headers)["tidemark-replayed"].startswith(b"dead-letters/")
    assert [each["event_id"] for each in await installation.records("usage-unattributed")] == ["lost"]


async def order(kafka: KafkaSettings, **whom: str) -> None:
    """Say beside the letters that somebody was erased, as `tidemark erase` does."""
    (name,) = whom.values()
    async with producer(kafka) as out:
        for topic in ("usage-rejected", "dead-letters"):
            value = codec.encoder("erasure")({**whom, "at": 0, "by": "dpo"})
            await out.send_and_wait(kafka.scoped(topic), value, name.encode())


async def test_a_replay_leaves_out_who_was_erased_since_and_says_how_many_letters_that_are(
    installation: Installation,
) -> None:
    kafka, encode = installation.kafka, codec.encoder("usage_event")
    batch = [track(messageId=f"m{number}", userId=who) for number, who in enumerate(("jo", "kim", "jo"))]
    of_acme = track(messageId="m3", userId="lee", properties={"workspace_id": "globex"})
    async with installation.ingest(account_fields="account_id", max_event_bytes=256) as client:
        for each in (*batch, of_acme):
            each["properties"] |= {"note": "x" * 300}
        assert (await client.post("/v1/batch", json={"batch": [*batch, of_acme]})).json()["rejected"] == 4
    async with producer(kafka) as out:
        for who in ("jo", "kim"):
            value = encode(event(f"raised-{who}", "acme", user(who)))
            sent = await out.send_and_wait(kafka.scoped("usage-events"), value, b"acme")
            letter = DeadLetter(
                by="scorer", reason="fold_raised", field="", detail="d", original=value, keep=4,
                origin=f"usage-events/{sent.partition}/{sent.offset}",
            )  # fmt: skip
            await out.send_and_wait(kafka.scoped("dead-letters"), letter.encode(), letter.key)
    await order(kafka, user=user("jo"))
    await order(kafka, account="globex")
    async with installation.ingest(account_fields="account_id", max_event_bytes=256) as client:
        again = track(messageId="m4", userId="jo")  # who is somebody new by now
        again["properties"] |= {"note": "x" * 300}
        assert (await client.post("/v1/batch", json={"batch": [again]})).json()["rejected"] == 1

    fields = {"TIDEMARK_INGEST_ACCOUNT_FIELDS": "workspace_id"}
    async with installation.ingest(**MENDED):
        planned = json.loads((await installation.tool("replay", "--dry-run", "--json", **fields)).stdout)
        told = (await installation.tool("replay", "--dry-run", **fields)).stdout
        said = await installation.replay(**fields)
        no_key = await installation.tool("replay", "--yes", TIDEMARK_PSEUDONYM_KEY="", **fields)

    assert (planned["ways"], planned["left"][ERASED]) == ({"event": 2, "record": 2}, 3)
    assert f"3 left: {ERASED}" in told
    assert (said["accepted"], said["appended"], said["left"][ERASED]) == (2, 1, 4)  # the record is seen once it is read
    assert "TIDEMARK_PSEUDONYM_KEY" in str(no_key.exception)
    ids = [each["event_id"] for each in await installation.records()]
    assert sorted(ids) == ["m1", "m4", "raised-jo", "raised-kim", "raised-kim"]


async def test_what_is_erased_or_replayed_while_a_replay_waits_for_a_yes_is_left_out_too(
    installation: Installation,
) -> None:
    batch = [track(messageId=f"m{number}", userId=who) for number, who in enumerate(("jo", "kim"))]
    async with installation.ingest(account_fields="account_id", max_event_bytes=100) as client:
        assert (await client.post("/v1/batch", json={"batch": batch})).json()["rejected"] == 2
    places = await stretches(installation.kafka, EVERYTHING)
    await order(installation.kafka, user=user("jo"))

    erased = Erased(lambda: PSEUDONYMS, AccountNames())
    tallies = []
    async with installation.ingest(**MENDED):
        for _ in range(2):  # the second one was asked for at the same time as the first
            key = installation.kafka, installation.url, lambda *_: "web-past"
            async with Replayer(*key, erased=erased) as replayer:
                await replayer.replay(places, EVERYTHING)
            tallies.append((replayer.tally.accepted, dict(replayer.tally.left)))

    assert tallies == [(1, {ERASED: 1}), (0, {ERASED: 1, "it was replayed before": 1})]
    assert [each["event_id"] for each in await installation.records()] == ["m1"]


async def test_a_letter_is_shown_with_its_original(installation: Installation) -> None:
    async with producer(installation.kafka) as out:

        async def letter(original: bytes, keep: int = 1000, **more: Any) -> str:
            written = DeadLetter(
                by="ingest", reason="r", field="f", detail="why\x1b[2J", original=original, keep=keep, **more
            )
            sent = await out.send_and_wait(installation.kafka.scoped("usage-rejected"), written.encode(), b"k")
            return f"usage-rejected/{sent.partition}/{sent.offset}"

        places = [
            await letter(b'{"event":"x","n":[1]}', source="web"),
            await letter(codec.encoder("usage_event")(event("e1", properties={"a": 1}))),
            await letter(b"\x1b[31m not JSON"),
            await letter(b"x" * 100, keep=10),
        ]
    shown = [(await installation.tool("show", place)).stdout for place in places]
    as_json = json.loads((await installation.tool("show", places[0], "--json")).stdout)
    nowhere = await installation.tool("show", "usage-rejected/0/999999")
    no_place = await installation.tool("show", "usage-events/0/1")

    assert '"n": [' in shown[0] and "source           web" in shown[0]
    assert "original (record usage_event)" in shown[1] and '"event_id": "e1"' in shown[1]
    assert all("\x1b" not in text for text in shown) and "\\x1b[31m" in shown[2]
    assert "cut: the first 10 of 100 bytes" in shown[3]
    assert (as_json["place"], as_json["original"], as_json["cut"]) == (places[0], {"event": "x", "n": [1]}, False)
    assert "there is no dead letter" in str(nowhere.exception)
    assert "is no dead letter" in str(no_place.exception)


async def test_only_the_letters_of_a_time_are_read(installation: Installation) -> None:
    """By the time of their append, which Kafka keeps an index of."""
    async with producer(installation.kafka) as out:

        async def write(reason: str) -> int:
            letter = DeadLetter(by="ingest", reason=reason, field="", detail="", original=b"", source="s")
            sent = await out.send_and_wait(installation.kafka.scoped("usage-rejected"), letter.encode(), letter.key)
            return int(sent.timestamp)

        before = await write("early")
        await until(lambda: time.time_ns() // 1_000_000 > before + 1)
        middle = await write("middle")
        await until(lambda: time.time_ns() // 1_000_000 > middle + 1)
        await write("late")

    wanted = Wanted(middle, middle + 1)
    places = {place.topic: place for place in await stretches(installation.kafka, wanted)}
    stretch = places["usage-rejected"]
    partition = next(number for number, stop in stretch.stop.items() if stop)

    assert (stretch.start[partition], stretch.stop[partition]) == (1, 2)
    said = (await installation.tool("list", "--since", "1h", "--reason", "middle")).stdout
    assert "middle" in said and "early" not in said
    assert "no dead letters" in (await installation.tool("list", "--source", "other")).stdout
