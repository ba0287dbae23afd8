"""
Send the originals of dead letters again.

What was taken is said in a record of its own on the letters' partition, so that no other replay sends it once more, at
whatever time. Between ingest's answer and that record a replay may be interrupted: the ids of the events are then the
same in the next one, and the scorer drops what it has.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Self

import httpx
import msgspec
from aiokafka import AIOKafkaProducer

from schemas import codec
from schemas.topics import USAGE_REJECTED
from services.backfill.sender import BatchAnswer, offer
from services.cli.rejected.erased import Erased
from services.cli.rejected.fates import Fate, fate_of
from services.cli.rejected.letters import Letter, Stretch, Wanted, letters_in, replayed_in
from services.cli.rejected.origins import Origins
from services.cli.rejected.runs import Run, replay_header, runs_of
from services.cli.rejected.tally import Plan, ReplayTally
from services.shared.errors import Fatal
from services.shared.kafka.clients import producer
from services.shared.kafka.settings import KafkaSettings
from services.shared.replays import Replay

CONNECTIONS = 4
_TIMEOUT_S = 30.0
_PATIENCE_S = 60.0
_KEY_KNOWN_S = 3.0
"""Ingest takes new write keys up within two seconds."""
_OTHER_SOURCE = "the write key is of another source or environment"
_encode = codec.encoder("replayed")

KeyFor = Callable[[str, str], str]
"""From source and environment of letters to the write key under which they go."""


class WholeRefusal(msgspec.Struct):
    """The answer to a request that was refused as a whole."""

    code: str = ""
    field: str = ""
    message: str = ""


async def plan(
    kafka: KafkaSettings, places: Sequence[Stretch], wanted: Wanted, limit: int | None, erased: Erased
) -> Plan:
    """Return what a replay of the wanted letters would do; `limit` is the most letters that it sends."""
    found = Plan()
    for stretch in places:
        async for letter, fate in _fates(kafka, stretch, wanted, erased):
            if fate.way is None or limit is None or found.total < limit:
                found.add(letter, fate)
    return found


async def _fates(
    kafka: KafkaSettings, stretch: Stretch, wanted: Wanted, erased: Erased
) -> AsyncIterator[tuple[Letter, Fate]]:
    """Yield the wanted letters of a stretch, each with what becomes of it."""
    replayed = await replayed_in(kafka, stretch, erased.note)
    async for letter in letters_in(kafka, stretch, wanted):
        fate = fate_of(letter, replayed=replayed.has(letter))
        why_not = "" if fate.way is None else erased.why_not(letter)
        yield letter, Fate(None, why_not) if why_not else fate


class Replayer:
    """Sends originals through one ingest, and appends records of lanes. Use as an async context manager."""

    def __init__(
        self,
        kafka: KafkaSettings,
        ingest: str | None,
        key_for: KeyFor,
        *,
        erased: Erased,
        any_source: bool = False,
        report: Callable[[ReplayTally], None] = lambda _: None,
    ) -> None:
        """
        Replay on `kafka`, by the ingest at the URL `ingest`.

        Args:
            kafka: The cluster.
            ingest: Address of ingest, without a path; None where no letter needs it.
            key_for: Gives the write key for a source and environment.
            erased: Is told who was erased, and tells which letters that covers.
            any_source: Whether letters may become events of another source than theirs.
            report: Told the tally after each request.
        """
        self.tally = ReplayTally()
        self._kafka = kafka
        self._ingest = (ingest or "").rstrip("/")
        self._key_for = key_for
        self._erased = erased
        self._any_source = any_source
        self._report = report
        self._open = AsyncExitStack()
        self._out: AIOKafkaProducer
        self._asking = asyncio.Lock()
        self._clients: dict[tuple[str, str], httpx.AsyncClient | None] = {}
        self._decode = msgspec.json.Decoder(BatchAnswer).decode

    async def __aenter__(self) -> Self:
        """Connect to Kafka; connections to ingest open on demand."""
        self._out = await self._open.enter_async_context(producer(self._kafka, linger_ms=0))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        await self._open.aclose()

    async def replay(self, places: Sequence[Stretch], wanted: Wanted, limit: int | None = None) -> None:
        """
        Send the wanted letters, at most `limit`; `tally` says what came of it, also where it was interrupted.

        Raises:
            Fatal: ingest does not know the write key, or the key may not replay.
            Retryable: ingest gave no useful answer for too long.
        """
        left = [limit]
        for stretch in places:
            chosen = self._chosen(stretch, wanted, left)
            if stretch.topic == USAGE_REJECTED:
                await self._through_ingest(runs_of(chosen))
            else:
                await self._append(chosen)

    async def _chosen(self, stretch: Stretch, wanted: Wanted, left: list[int | None]) -> AsyncIterator[Letter]:
        async for letter, fate in _fates(self._kafka, stretch, wanted, self._erased):
            if fate.way is None:
                self.tally.left[fate.why] += 1
            elif left[0] is None or left[0] > 0:
                left[0] = None if left[0] is None else left[0] - 1
                yield letter

    async def _through_ingest(self, runs: AsyncIterator[Run]) -> None:
        waiting: asyncio.Queue[Run | None] = asyncio.Queue(CONNECTIONS)

        async def work() -> None:
            while (run := await waiting.get()) is not None:
                await self._send(run)
                self._report(self.tally)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(CONNECTIONS):
                    group.create_task(work())
                async for run in runs:
                    await waiting.put(run)
                for _ in range(CONNECTIONS):
                    await waiting.put(None)
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None  # all connections meet the same; one of our errors says what to do

    async def _send(self, run: Run) -> None:
        client = await self._client(run)
        if client is None:
            self.tally.left[_OTHER_SOURCE] += len(run.letters)
            return
        call = run.call(any_source=self._any_source)
        answer = await offer(client, self._ingest + call.path, call.body, call.headers, _PATIENCE_S)
        taken = self._count(run, answer)
        await self._say_replayed(taken)

    def _count(self, run: Run, answer: httpx.Response) -> list[Letter]:
        """Count what ingest said; return the letters of which nothing was refused."""
        single = run.facts.kind and answer.status_code == httpx.codes.BAD_REQUEST and b'"results"' in answer.content
        if answer.status_code != httpx.codes.OK and not single:
            if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.NOT_FOUND):
                raise Fatal(f"ingest at {self._ingest} answers {answer.status_code}: {answer.text[:300]}")
            whole = whole_refusal(answer, self._ingest)
            for letter in run.letters:
                self.tally.refuse(whole.code, letter, _words(whole.field, whole.message))
            return []
        said = self._decode(answer.content)
        self.tally.accepted += said.accepted
        self.tally.unattributed += said.unattributed
        refused = [result for result in said.results if result.verdict == "rejected"]
        alone = run.letters[0] if len(run.letters) == 1 else None
        for result in refused:
            self.tally.refuse(result.code, alone or run.letters[result.index], _words(result.field, result.detail))
        if alone:
            return [] if refused else [alone]
        again = {result.index for result in refused}
        return [letter for index, letter in enumerate(run.letters) if index not in again]

    async def _client(self, run: Run) -> httpx.AsyncClient | None:
        """Return the connection for the source of a run; None where its key is of another."""
        which = (run.source, run.facts.environment)
        async with self._asking:
            if which not in self._clients:
                limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
                client = httpx.AsyncClient(
                    auth=(self._key_for(*which), ""), limits=limits, timeout=_TIMEOUT_S, trust_env=False
                )
                await self._open.enter_async_context(client)
                self._clients[which] = client if await self._may_replay(client, *which) else None
        return self._clients[which]

    async def _may_replay(self, client: httpx.AsyncClient, source: str, environment: str) -> bool:
        """
        Return whether the key is of this source, asked with an empty batch.

        Raises:
            Fatal: the key is not known, or may not replay.
        """
        asked = Replay(partition=0, first=0, last=0, received_at=1)
        if not self._any_source:
            asked = msgspec.structs.replace(asked, source=source, environment=environment)
        headers = replay_header(asked)
        deadline = time.monotonic() + _KEY_KNOWN_S
        while True:
            answer = await offer(client, self._ingest + "/v1/batch", b'{"batch":[]}', headers, _PATIENCE_S)
            if answer.status_code == httpx.codes.OK:
                return True
            if answer.status_code != httpx.codes.UNAUTHORIZED or time.monotonic() > deadline:
                break
            await asyncio.sleep(0.2)
        if b'"wrong_source"' in answer.content:
            return False
        raise Fatal(
            f"ingest at {self._ingest} answers {answer.status_code}: {answer.text[:300]}. A replay needs a write key with "
            "`backfill: true` of the letters' source (`tidemark keys create --client server --backfill --source SOURCE`)"
        )

    async def _append(self, letters: AsyncIterator[Letter]) -> None:
        async with Origins(self._kafka, self._out, self._erased) as origins:
            async for letter in letters:
                why_not = await origins.append_again(letter)
                if why_not:
                    self.tally.left[why_not] += 1
                    continue
                self.tally.appended += 1
                await self._say_replayed([letter])
                self._report(self.tally)

    async def _say_replayed(self, letters: Sequence[Letter]) -> None:
        if not letters:
            return
        value = _encode({"at": time.time_ns() // 1_000_000, "offsets": [letter.offset for letter in letters]})
        place = letters[0]
        await self._out.send_and_wait(self._kafka.scoped(place.topic), value, partition=place.partition)
        self.tally.letters += len(letters)


def _words(*parts: str) -> str:
    return ": ".join(part for part in parts if part)


def whole_refusal(answer: httpx.Response, ingest: str) -> WholeRefusal:
    """
    Return why a request was refused as a whole.

    Raises:
        Fatal: ingest would not say it so; a proxy before it did, or something else answers at its address.
    """
    try:
        return msgspec.json.decode(answer.content, type=WholeRefusal)
    except msgspec.MsgspecError as error:
        raise Fatal(
            f"what answers at {ingest} is not ingest ({answer.status_code}: {answer.text[:100]!r}): correct"
            " TIDEMARK_INGEST_URL, or see to the proxy there, and run the same command again"
        ) from error
