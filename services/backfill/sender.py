"""
Calls to ingest over HTTP, in batches, each retried until ingest has answered for it.

Promises: calls of one account are offered in their order; `send` returns when every call has a verdict. A batch
that got no answer is sent again as it was: its ids do not change, so what Kafka already had is dropped as a repeat.
"""

from __future__ import annotations

import asyncio
import json
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import httpx
import msgspec
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_delay, wait_random_exponential

from services.backfill.mapping import MOST_BYTES, TimedCall
from services.shared.errors import Retryable, TidemarkError
from services.shared.replays import HEADER, Replay

KEPT_REJECTIONS = 100
_TIMEOUT_S = 30.0
_CONNECTIONS = 4


class IngestRefuses(TidemarkError):
    """Ingest will not take these batches at all; the message says why and what to do."""


class Warned(msgspec.Struct):
    """In what an event breaks the tracking plan."""

    code: str
    field: str
    detail: str


class AnsweredEvent(msgspec.Struct):
    """What ingest says about one event; plain acceptance is not listed."""

    index: int
    verdict: str
    code: str = ""
    field: str = ""
    detail: str = ""
    warnings: list[Warned] = []
    """How it breaks the tracking plan, where it was accepted all the same."""


class BatchAnswer(msgspec.Struct):
    """The body of an answer to a batch."""

    accepted: int
    """Events that Kafka has, those without an account included."""
    unattributed: int
    rejected: int
    results: list[AnsweredEvent]
    broke_plan: int = 0


@dataclass(slots=True)
class Tally:
    """What ingest said so far."""

    accepted: int = 0
    unattributed: int = 0
    rejected: int = 0
    rejections: list[str] = field(default_factory=list)
    """The first ones, one sentence each."""
    broke_plan: int = 0
    """Events that break the tracking plan and were accepted: the scorer may be unable to read them."""
    warnings: list[str] = field(default_factory=list)
    """The first of them, one sentence each."""


def id_of(call: dict[str, Any]) -> str:
    """Return the id of a call, by which it is named where nothing says more to people."""
    return str(call.get("messageId"))


class IngestSender:
    """Offers calls to one ingest under one write key. Use as an async context manager."""

    def __init__(
        self,
        url: str,
        write_key: str,
        *,
        historical: bool = True,
        batch: int = 500,
        patience_s: float = 600.0,
        called: Callable[[dict[str, Any]], str] = id_of,
    ) -> None:
        """
        Send to the ingest at `url`, under `write_key`.

        Args:
            url: Address of ingest, without a path.
            write_key: One that may backfill, where `historical`.
            historical: Whether the events are of the past and their times to be taken as they are.
            batch: Most calls in a request; fewer are sent where they are large.
            patience_s: How long one batch is tried before the whole run stops.
            called: What people call a call, in what is told of it.
        """
        self.tally = Tally()
        self._url = url.rstrip("/") + "/v1/batch"
        self._historical = historical
        self._batch = batch
        self._patience_s = patience_s
        self._called = called
        self._encode = msgspec.json.Encoder().encode
        self._answer = msgspec.json.Decoder(BatchAnswer)
        limits = httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS)
        self._http = httpx.AsyncClient(auth=(write_key, ""), limits=limits, timeout=_TIMEOUT_S, trust_env=False)

    async def __aenter__(self) -> Self:
        """Return itself; connections open on demand."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def ready(self, within_s: float = 30.0) -> None:
        """
        Return once ingest answers and knows the write key, which it does some seconds after the key was made.

        Raises:
            IngestRefuses: it did not in time, or is something else than ingest; or the key may not send history, where
                that is wanted.
        """
        said = "nothing"
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            try:
                answer = await self._http.post(self._url, content=b'{"batch":[]}', headers=self._headers(0))
                if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
                    return
                if answer.status_code != httpx.codes.UNAUTHORIZED and not answer.is_server_error:
                    self._answered(answer)
                    return
                said = f"{answer.status_code}: {answer.text[:200]}"
            except httpx.TransportError as error:
                said = f"no answer ({error})"
            await asyncio.sleep(0.2)
        raise IngestRefuses(f"ingest at {self._url} cannot be used after {within_s:.0f} s; it said {said}")

    async def key_is_of(self, *, source: str | None = None, environment: str | None = None) -> bool:
        """Return whether the write key is of this source and environment: the key alone says of which the events are."""
        asked = Replay(partition=0, first=0, last=0, received_at=1, source=source, environment=environment)
        headers = {HEADER: json.dumps(msgspec.to_builtins(asked))}
        answer = await offer(self._http, self._url, b'{"batch":[]}', headers, self._patience_s)
        return b'"wrong_source"' not in answer.content

    async def send(self, calls: Sequence[TimedCall], epoch: int = 0) -> None:
        """
        Offer the calls and return when each has a verdict.

        Raises:
            IngestRefuses: the write key or the request as a whole is not accepted.
            Retryable: ingest gave no useful answer for too long.
        """
        headers = self._headers(epoch)
        if len(calls) <= self._batch:
            await self._in_turn([call.call for call in calls], headers)
            return
        shards: list[list[dict[str, Any]]] = [[] for _ in range(_CONNECTIONS)]
        for _, call in calls:
            shards[zlib.crc32(account_of(call).encode()) % _CONNECTIONS].append(call)
        try:
            async with asyncio.TaskGroup() as group:
                for shard in shards:
                    group.create_task(self._in_turn(shard, headers))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None  # all connections meet the same; one of our errors says what to do

    def _headers(self, epoch: int) -> dict[str, str]:
        return {"Tidemark-Epoch": str(epoch), "Tidemark-Historical": "true"} if self._historical else {}

    async def _in_turn(self, calls: list[dict[str, Any]], headers: dict[str, str]) -> None:
        part: list[dict[str, Any]] = []
        texts: list[bytes] = []
        size = 0
        for call in calls:
            text = self._encode(call)
            if part and (len(part) >= self._batch or size + len(text) > MOST_BYTES):
                await self._post(part, texts, headers)
                part, texts, size = [], [], 0
            part.append(call)
            texts.append(text)
            size += len(text)
        if part:
            await self._post(part, texts, headers)

    async def _post(self, calls: list[dict[str, Any]], texts: list[bytes], headers: dict[str, str]) -> None:
        body = b'{"batch":[' + b",".join(texts) + b"]}"
        answer = await offer(self._http, self._url, body, headers, self._patience_s)
        self._count(calls, self._answered(answer))

    def _answered(self, answer: httpx.Response) -> BatchAnswer:
        """
        Return what ingest says of a batch.

        Raises:
            IngestRefuses: it takes none of it, or somebody else answers.
        """
        _raise_for(answer)
        try:
            return self._answer.decode(answer.content)
        except msgspec.MsgspecError as error:
            raise IngestRefuses(
                f"what answers at {self._url} is not ingest: {answer.text[:100]!r}. Correct TIDEMARK_INGEST_URL, and run the same"
                " command again"
            ) from error

    def _count(self, calls: list[dict[str, Any]], answer: BatchAnswer) -> None:
        self.tally.accepted += answer.accepted - answer.unattributed
        self.tally.unattributed += answer.unattributed
        self.tally.rejected += answer.rejected
        self.tally.broke_plan += answer.broke_plan
        for result in answer.results:
            if result.verdict == "rejected":
                _keep(self.tally.rejections, self._called(calls[result.index]), result)
            for warning in result.warnings[:1]:
                _keep(self.tally.warnings, self._called(calls[result.index]), warning)


def _keep(sentences: list[str], called: str, said: AnsweredEvent | Warned) -> None:
    if len(sentences) < KEPT_REJECTIONS:
        why = ": ".join(part for part in (said.code, said.field, said.detail) if part)
        sentences.append(f"{called}: {why}")


def account_of(call: dict[str, Any]) -> str:
    """Return the account that a call names itself, empty where it names none."""
    context = call.get("context")
    named = context.get("groupId") if isinstance(context, dict) else None
    spoken_of = call.get("groupId")
    first, second = (spoken_of, named) if call.get("type") == "group" else (named, spoken_of)
    return str(first or second or "")


async def offer(
    http: httpx.AsyncClient, url: str, body: bytes, headers: dict[str, str], patience_s: float
) -> httpx.Response:
    """
    Post one request as often as it takes; return the answer, which says neither "later" nor that ingest has failed.

    Raises:
        Retryable: ingest put it off, or failed, or nobody answered, for `patience_s`.
    """
    retrying = AsyncRetrying(
        retry=retry_if_exception_type((Retryable, httpx.TransportError)),
        wait=_wait,
        stop=stop_after_delay(patience_s),
        reraise=True,
    )
    try:
        return await retrying(_post, http, url, body, headers)
    except httpx.TransportError as error:
        raise Retryable(
            f"nobody answers at {url} for {patience_s:.0f} s ({error!r}): start ingest, and run the same command again"
        ) from error


async def _post(http: httpx.AsyncClient, url: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
    answer = await http.post(url, content=body, headers=headers)
    if answer.status_code == httpx.codes.TOO_MANY_REQUESTS or answer.is_server_error:
        wait = answer.headers.get("Retry-After", "")
        raise Retryable(
            f"ingest answers {answer.status_code}: {answer.text[:300]}", float(wait) if wait.isdigit() else 0.0
        )
    return answer


def _raise_for(answer: httpx.Response) -> None:
    if answer.status_code == httpx.codes.OK:
        return
    said = f"ingest answers {answer.status_code}: {answer.text[:300]}"
    if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        said += (
            ". A backfill needs a write key with `backfill: true` (`tidemark keys create --client server --backfill`)."
        )
    raise IngestRefuses(said)


_backoff = wait_random_exponential(multiplier=0.1, max=10)


def _wait(state: RetryCallState) -> float:
    """Wait as long as ingest asks for, else longer each time."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after_s if isinstance(error, Retryable) else 0.0
    return max(asked, _backoff(state))
